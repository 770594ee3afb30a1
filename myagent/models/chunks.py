"""Chat completion chunks: JSON in, text pieces and a `Completion` out. No I/O."""

from __future__ import annotations

from typing import Any

from myagent import fast_json
from myagent.models.base import Completion, ModelError, Usage
from myagent.models.surrogates import replace_lone_surrogates
from myagent.models.toolcalls import CallAssembly

MAX_REPLY_CHARS = 8 * 1024 * 1024
"""The longest reply taken, in characters: text, reasoning and arguments together."""


def parse_chunk(data: bytes) -> dict[str, Any]:
    """A chunk as sent; what is no valid Unicode in it becomes U+FFFD.

    Raises `ModelError` if it is not a JSON object.
    """
    try:
        chunk = fast_json.loads(data)
    except ValueError:
        chunk = _parse_cleaned(data)
    if not isinstance(chunk, dict):
        raise _unreadable()
    return chunk


def _parse_cleaned(data: bytes) -> Any:
    valid = data.decode("utf-8", "replace").encode()
    try:
        return fast_json.loads(replace_lone_surrogates(valid))
    except ValueError as error:
        raise _unreadable() from error


class Reply:
    """A reply under assembly.

    `is_finished` as soon as the model gave a finish reason.
    """

    def __init__(self) -> None:
        self.is_finished = False
        self.has_begun = False
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls = CallAssembly()
        self._usage = Usage()
        self._finish_reason = ""
        self._length = 0

    def add(self, chunk: dict[str, Any]) -> str:
        """Takes a chunk, or a whole completion; gives the text in it.

        Raises `ModelError` for an error object, for a chunk of another shape,
        and for a reply too long.
        """
        self.has_begun = True
        try:
            return self._add(chunk)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _unreadable() from error

    def _add(self, chunk: dict[str, Any]) -> str:
        if error := chunk.get("error"):
            raise _reported_error(error)
        if usage := chunk.get("usage"):
            self._usage = _read_usage(usage)
        choices = chunk.get("choices")
        if not choices:
            return ""
        choice = choices[0]
        if reason := choice.get("finish_reason"):
            self._finish_reason, self.is_finished = reason, True
        return self._add_delta(choice.get("delta") or choice.get("message") or {})

    def _add_delta(self, delta: dict[str, Any]) -> str:
        if reasoning := _plain(delta.get("reasoning_content") or delta.get("reasoning")):
            self._reasoning.append(reasoning)
        if calls := delta.get("tool_calls"):
            self._length += self._calls.add(calls)
        text = _plain(delta.get("content") or delta.get("refusal"))
        if text:
            self._text.append(text)
        self._length += len(text) + len(reasoning)
        if self._length > MAX_REPLY_CHARS:
            raise ModelError("The model's reply is too long.", is_retryable=False)
        return text

    def completion(self, *, with_calls: bool) -> Completion:
        """The whole reply. Raises `ModelError` if a filter left nothing of it."""
        text = "".join(self._text)
        calls = self._calls.finish() if with_calls else ()
        if self._finish_reason == "content_filter" and not text and not calls:
            raise ModelError(
                "The model's provider held the answer back: its content filter objected.",
                is_retryable=False,
            )
        return Completion(text, "".join(self._reasoning), calls, self._usage)


def _plain(content: Any) -> str:
    """Text given as a string, or as a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            part["text"]
            for part in content
            if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return ""


def _read_usage(usage: dict[str, Any]) -> Usage:
    return Usage(int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))


def _unreadable() -> ModelError:
    return ModelError("The model gave a reply that can't be read.", is_retryable=True)


def _reported_error(error: Any) -> ModelError:
    code = error.get("code") or error.get("status") if isinstance(error, dict) else None
    is_ours = isinstance(code, int) and 400 <= code < 500 and code not in (408, 409, 429)
    return ModelError("The model failed while it was answering.", is_retryable=not is_ours)
