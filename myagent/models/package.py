"""What is used of the openai package, without the rest of it.

Most of the package defines the types of what it returns, and helpers for them. No call here returns
such a type; to import them takes 0.3 s, as long as all else that a worker imports, and 11 MB.
"""

from __future__ import annotations

import os

from myagent.models.unread import unread

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncOpenAI",
    "AsyncStream",
    "DefaultAioHttpClient",
    "DefaultAsyncHttpxClient",
    "OpenAIError",
]

try:
    if os.environ.get("OPENAI_LOG"):
        raise ImportError("the package as a whole sets up the log that the variable asks for")
    with unread("openai", "openai.lib", "openai.types"):
        from openai._base_client import DefaultAioHttpClient, DefaultAsyncHttpxClient
        from openai._client import AsyncOpenAI
        from openai._exceptions import (
            APIConnectionError,
            APIStatusError,
            APITimeoutError,
            OpenAIError,
        )
        from openai._streaming import AsyncStream
except (ImportError, AttributeError):
    # Python's own way, in which threads wait for each other. And the modules above are no promise:
    # another version may have others, or need all at their import.
    from openai import (
        APIConnectionError,
        APIStatusError,
        APITimeoutError,
        AsyncOpenAI,
        AsyncStream,
        DefaultAioHttpClient,
        DefaultAsyncHttpxClient,
        OpenAIError,
    )
