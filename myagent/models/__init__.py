"""Chat models, and how an agent gets one."""

from __future__ import annotations

import os
from functools import lru_cache

from myagent.models.base import ChatModel, Completion, ModelError, ToolSpec, Usage
from myagent.models.openai import TIMEOUT_S, OpenAIModel

__all__ = [
    "ChatModel",
    "Completion",
    "ModelError",
    "OpenAIModel",
    "ToolSpec",
    "Usage",
    "resolve_model",
]

DEFAULT_MODEL = "gpt-4o-mini"

LONGEST_S = 1e6
"""Maximum of a time-out: some clocks can't represent more."""


def resolve_model(
    model: str | ChatModel | None = None, *, timeout_s: float | None = None
) -> ChatModel:
    """The model that an agent uses.

    An object is used as it is. A name, or else `OPENAI_MODEL` or `LLM_MODEL`, is a model of the
    server at `OPENAI_BASE_URL` (`OPENAI_API_BASE`), with the key `OPENAI_API_KEY`; agents with the
    same settings share its connections. With neither a key nor an address it is the offline demo
    model. `timeout_s`, or else `MYAGENT_MODEL_TIMEOUT_S`: how long the server may send nothing.
    Raises `TypeError` for an object that is not a chat model, and `ModelError` for an invalid
    setting.
    """
    if model is not None and not isinstance(model, str):
        if isinstance(model, type) or not isinstance(model, ChatModel):
            raise TypeError(
                "model must be a model's name or an object with a "
                f"stream(messages, tools) method, not {model!r}"
            )
        return model
    api_key, base_url = _setting("OPENAI_API_KEY"), _setting("OPENAI_BASE_URL", "OPENAI_API_BASE")
    if not (api_key or base_url):
        from myagent.models.offline import OfflineModel

        return OfflineModel()
    name = model or _setting("OPENAI_MODEL", "LLM_MODEL") or DEFAULT_MODEL
    # A server of one's own asks for no key, but the client insists on one.
    return _shared_model(name, api_key or "none", base_url, timeout_s or _timeout_s())


def _setting(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)


def _timeout_s() -> float:
    text = _setting("MYAGENT_MODEL_TIMEOUT_S")
    try:
        timeout_s = TIMEOUT_S if text is None else float(text)
    except ValueError:
        timeout_s = 0.0
    if 0 < timeout_s <= LONGEST_S:
        return timeout_s
    raise ModelError(
        "The model can't be asked: MYAGENT_MODEL_TIMEOUT_S must be a number of seconds above 0, "
        "not '{text}'.",
        is_retryable=False,
        text=text,
    )


@lru_cache(maxsize=64)
def _shared_model(name: str, api_key: str, base_url: str | None, timeout_s: float) -> OpenAIModel:
    return OpenAIModel(name, api_key=api_key, base_url=base_url, timeout_s=timeout_s)
