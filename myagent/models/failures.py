"""What the openai package raises, as errors for the person who talks to the agent."""

from __future__ import annotations

import re
from dataclasses import dataclass

import aiohttp
import httpx2

from myagent.models.addresses import host_of, named, path_of, proxy_for
from myagent.models.base import ModelError
from myagent.models.package import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    OpenAIError,
)
from myagent.models.reported import reported
from myagent.models.requests import OPTIONAL

CALL_FAILURES = (
    OpenAIError,
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
_ABOUT_MODEL = re.compile(r"\bmodels?\b|deployment", re.IGNORECASE)
_ABOUT_ADDRESS = re.compile(r"\burl\b|endpoint|\broute\b|\bpath\b|\bpage\b", re.IGNORECASE)
_FILTERED = re.compile(r"content_filter|content management policy", re.IGNORECASE)
_VERSIONED = re.compile(r"/v\d+\w*(/|$)")


@dataclass(frozen=True, slots=True)
class Asked:
    """The model that was asked, and its server; `address` includes `/v1`."""

    model: str
    address: str

    @property
    def host(self) -> str:
        return host_of(self.address)


def model_error(error: Exception, asked: Asked) -> ModelError:
    """The `ModelError` for a call that failed, with its cause; to be raised from `error`."""
    made = _model_error(error, asked)
    made.cause = _cause(error, asked)
    return made


def refused_field(error: Exception) -> str | None:
    """The field of `requests.OPTIONAL` because of which the server refused a request."""
    if not isinstance(error, APIStatusError) or error.status_code not in (400, 422):
        return None
    told = f"{error.message} {error.body}"
    return next((name for name in OPTIONAL if name in told), None)


def _cause(error: Exception, asked: Asked) -> str:
    address = named(asked.address)
    if isinstance(error, APIStatusError):
        words = reported(error.body or error.message).words
        return f"{address}/chat/completions: status {error.status_code}: {words}"
    proxy = proxy_for(asked.address)
    through = f" through the proxy {named(proxy)}" if proxy else ""
    return f"{address}{through}: {_root(error)}"


def _root(error: BaseException) -> str:
    """The text of the innermost cause."""
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    return f"{type(root).__name__}: {root}" if str(root) else type(root).__name__


def _model_error(error: Exception, asked: Asked) -> ModelError:
    match error:
        case APIStatusError():
            return _status_error(error, asked)
        case APITimeoutError() if not isinstance(error.__cause__, httpx2.ConnectTimeout):
            return ModelError("The model did not answer in time.", is_retryable=True)
        case APIConnectionError():
            # The aiohttp transport calls every failure to connect a ConnectTimeout.
            return ModelError(
                "The model's server {host} can't be reached.", is_retryable=True, host=asked.host
            )
        case OpenAIError():
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


def _status_error(error: APIStatusError, asked: Asked) -> ModelError:
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
    return _refusal(error, asked)


def _refusal(error: APIStatusError, asked: Asked) -> ModelError:
    match error.status_code:
        case 401:
            return ModelError("The model refused the API key.", is_retryable=False)
        case 402:
            return ModelError("The model's account has no credit left.", is_retryable=False)
        case 403:
            return ModelError(
                "The API key may not use the model '{model}'.",
                is_retryable=False,
                model=asked.model,
            )
        case 404 | 405 if not _is_about_model(error, asked):
            return _no_such_address(asked)
        case 404:
            return ModelError(
                "The model name '{model}' is not known to the model's server.",
                is_retryable=False,
                model=asked.model,
            )
    return _unaccepted(error)


def _unaccepted(error: APIStatusError) -> ModelError:
    about = f"{error.code} {error.message} {error.body}"
    if error.status_code == 413 or _TOO_LONG.search(about):
        return ModelError("The conversation has become too long for the model.", is_retryable=False)
    if _FILTERED.search(about):
        return ModelError(
            "The model's provider did not take the question: its content filter objected.",
            is_retryable=False,
        )
    return ModelError(
        "The model did not accept the request (status {status}).",
        is_retryable=False,
        status=error.status_code,
    )


def _is_about_model(error: APIStatusError, asked: Asked) -> bool:
    """Whether a 404 means the model: a reply that is not JSON means that the address is unknown."""
    if not isinstance(error.body, dict | list):
        return False
    told = f"{error.code} {error.message} {error.body}"
    if asked.model in told or _ABOUT_MODEL.search(told):
        return True
    has_usual_shape = isinstance(error.body, dict) and "message" in error.body
    is_likely_right = _VERSIONED.search(path_of(asked.address)) is not None
    return has_usual_shape and is_likely_right and _ABOUT_ADDRESS.search(told) is None


def _no_such_address(asked: Asked) -> ModelError:
    path = path_of(asked.address)
    if path.endswith("/chat/completions"):
        return ModelError(
            "The model's server {host} has no such address: leave '/chat/completions' out of "
            "OPENAI_BASE_URL.",
            is_retryable=False,
            host=asked.host,
        )
    if _VERSIONED.search(path):
        return ModelError(
            "The model's server {host} has no such address: check OPENAI_BASE_URL.",
            is_retryable=False,
            host=asked.host,
        )
    return ModelError(
        "The model's server {host} has no such address: should OPENAI_BASE_URL end in /v1?",
        is_retryable=False,
        host=asked.host,
    )
