"""What the openai package raises, as errors for the person who talks to the agent."""

from __future__ import annotations

import re

import aiohttp
import httpx2
import openai

from myagent.models.base import ModelError

CALL_FAILURES = (
    openai.OpenAIError,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    aiohttp.ClientError,
    OSError,
    ValueError,
)
"""What a call may raise: the package lets some errors of its transport through."""

_TOO_LONG = re.compile(
    r"context.{0,10}(length|size|window)|maximum context|too many (input )?tokens"
    r"|(prompt|input|request) is too (long|large)|exceeds? .{0,40}tokens",
    re.IGNORECASE,
)


def model_error(error: Exception, model: str) -> ModelError:
    """The `ModelError` for a call that failed; to be raised from `error`."""
    match error:
        case openai.APIStatusError():
            return _status_error(error, model)
        case openai.APITimeoutError() if not isinstance(error.__cause__, httpx2.ConnectTimeout):
            return ModelError("The model did not answer in time.", is_retryable=True)
        case openai.APIConnectionError():
            # The aiohttp transport calls every failure to connect a ConnectTimeout.
            return ModelError("The model's server can't be reached.", is_retryable=True)
        case openai.OpenAIError():
            return ModelError(
                "The model can't be asked: its API key is missing or its settings are wrong.",
                is_retryable=False,
            )
        case aiohttp.InvalidURL():
            pass
        case httpx2.HTTPError() | aiohttp.ClientError() | OSError():
            return ModelError(
                "The model's server gave no reply that can be read.", is_retryable=True
            )
    return ModelError(
        "The model can't be asked: its address or API key is not a valid one.",
        is_retryable=False,
    )


def is_about_stream_options(error: Exception) -> bool:
    """Whether the server refused a request because of its `stream_options`."""
    if not isinstance(error, openai.APIStatusError):
        return False
    return error.status_code in (400, 422) and "stream_options" in f"{error.message} {error.body}"


def _status_error(error: openai.APIStatusError, model: str) -> ModelError:
    status = error.status_code
    if status == 429 and error.code == "insufficient_quota":
        return ModelError("The quota of the model's account is used up.", is_retryable=False)
    if status == 429:
        return ModelError(
            "The model has too many requests at the moment; please try again later.",
            is_retryable=True,
        )
    if status >= 500 or status in (408, 409):
        return ModelError(
            "The model's server failed (status {status}); please try again.",
            is_retryable=True,
            status=status,
        )
    return _refusal(error, model)


def _refusal(error: openai.APIStatusError, model: str) -> ModelError:
    match error.status_code:
        case 401:
            return ModelError("The model refused the API key.", is_retryable=False)
        case 402:
            return ModelError("The model's account has no credit left.", is_retryable=False)
        case 403:
            return ModelError(
                "The API key may not use the model '{model}'.", is_retryable=False, model=model
            )
        case 404:
            return ModelError(
                "The model name '{model}' is not known to the model's server.",
                is_retryable=False,
                model=model,
            )
        case status:
            about = f"{error.code} {error.message} {error.body}"
            if status == 413 or _TOO_LONG.search(about):
                return ModelError(
                    "The conversation has become too long for the model.", is_retryable=False
                )
            return ModelError(
                "The model did not accept the request (status {status}).",
                is_retryable=False,
                status=status,
            )
