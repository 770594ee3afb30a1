"""Chat completion chunks: JSON in, text pieces and a `Completion` out. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from myagent import fast_json
from myagent.messages import Reasoning
from myagent.models.base import Completion, Cut, ModelError, TakenBack, Usage
from myagent.models.reasoning import ReasoningAssembly
from myagent.models.reported import ReportedError, error_in, is_strange
from myagent.models.surrogates import replace_lone_surrogates
from myagent.models.thinking import ThinkingSplitter
from myagent.models.toolcalls import CallAssembly
from myagent.models.usages import read_usage

MAX_REPLY_CHARS = 8 * 1024 * 1024
"""The longest reply taken, in characters: text, reasoning and arguments together."""

MIN_REPEATED = 8
MIN_REPEATED_PIECES = 4
MIN_REPEATED_EARLY = 32
"""Minimum length of a piece that is taken for a repetition of the whole text before it.

The first holds for a last piece, the second too if the text came in several pieces; the third for
any other piece after several.
"""

_CUTS: dict[str, Cut] = {
    **dict.fromkeys(("length", "max_tokens", "model_length", "max_output_tokens"), "length"),
    **dict.fromkeys(
        ("content_filter", "safety", "sensitive", "recitation", "prohibited_content"),
        "content_filter",
    ),
}
"""Finish reasons of a reply that was cut off."""

_FAILURES = frozenset({
    "error", "server_error", "internal_error", "network_error", "insufficient_system_resource",
    "abort", "aborted", "cancelled", "canceled", "timeout", "failed", "failure",
    "malformed_function_call", "malformed_tool_call", "unexpected_tool_call", "malformed_response",
})  # fmt: skip
"""Finish reasons of a reply that failed."""

Piece = str | TakenBack


def parse_chunk(data: bytes) -> dict[str, Any]:
    """A chunk as sent; what is no valid Unicode in it becomes U+FFFD.

    Raises `ModelError` if it is not a JSON object.
    """
    try:
        chunk = fast_json.loads(data)
    except ValueError:
        chunk = _parse_cleaned(data)
    if not isinstance(chunk, dict):
        raise _unreadable(data)
    return chunk


def _parse_cleaned(data: bytes) -> Any:
    valid = data.decode("utf-8", "replace").encode()
    try:
        return fast_json.loads(replace_lone_surrogates(valid))
    except ValueError as error:
        raise _unreadable(data) from error


class Reply:
    """A reply that is being assembled.

    `is_finished` once the model gave a finish reason. `stranger`: an event after the last chunk
    that is no known part of a reply, if there is one. `origin` identifies the sender, see
    `Reasoning`. `thinks_untagged`: the reply is expected to start with thinking whose first tag is
    left out; at the end, whether it did.
    """

    def __init__(self, origin: str = "", *, thinks_untagged: bool = False) -> None:
        self.is_finished = False
        self.has_begun = False
        self.stranger: dict[str, Any] | None = None
        self._origin = origin
        self._raw: list[str] = []
        self._raw_length = 0
        self._repeated = ""
        self._text: list[str] = []
        self._reasoning = ReasoningAssembly()
        self._thinking = ThinkingSplitter(begins_inside=thinks_untagged)
        self._calls = CallAssembly()
        self._usage = Usage()
        self._finish_reason = ""
        self._length = 0

    @property
    def thinks_untagged(self) -> bool:
        return self._thinking.is_untagged

    def add(self, chunk: dict[str, Any]) -> Sequence[Piece]:
        """Takes a chunk, or a whole completion; gives the text in it.

        Raises `ModelError` for an error object, for a chunk of another shape,
        and for a reply too long.
        """
        self.has_begun = True
        try:
            return self._add(chunk)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _unreadable(repr(chunk).encode()) from error

    def close(self) -> Sequence[Piece]:
        """The text that was held back, now that nothing follows."""
        return self._told(self._thinking.close())

    def completion(self, *, with_calls: bool) -> Completion:
        """The whole reply. Raises `ModelError` if it was cut off before any text or call."""
        text = "".join(self._text)
        calls = self._calls.finish() if with_calls else ()
        thinking = "\n".join(filter(None, (self._reasoning.shown, self._thinking.thinking)))
        cut = _CUTS.get(self._finish_reason, "")
        if cut and not calls and not text.strip():
            raise _nothing_left(cut, has_thought=bool(thinking))
        kept = self._kept() if calls else None
        return Completion(text, thinking, calls, self._usage, cut, kept)

    def _add(self, chunk: dict[str, Any]) -> Sequence[Piece]:
        if (error := error_in(chunk)) is not None:
            raise _failed(error)
        if usage := chunk.get("usage"):
            self._usage = read_usage(usage)
        choices = chunk.get("choices")
        if not choices:
            if is_strange(chunk):
                self.stranger = chunk
            return ()
        self.stranger = None
        choice = choices[0]
        if reason := choice.get("finish_reason"):
            self._finish_reason, self.is_finished = str(reason).lower(), True
            if self._finish_reason in _FAILURES:
                raise _failed(ReportedError(f"finish_reason: {reason}"))
        delta, message = choice.get("delta"), choice.get("message")
        pieces = self._add_delta(delta) if delta else ()
        return [*pieces, *self._add_message(message)] if message else pieces

    def _add_message(self, message: Mapping[str, Any]) -> Sequence[Piece]:
        """Handles a complete message: it repeats text that was streamed before."""
        news = dict(message)
        if self._calls:
            news.pop("tool_calls", None)
            news.pop("function_call", None)
        if self._reasoning:
            news = {name: news[name] for name in news if name in _NOT_REASONING}
        said = "".join(self._raw)
        text = _plain(news.get("content") or news.get("refusal"))
        if said:
            news["content"] = text[len(said) :] if text.startswith(said) else ""
            news.pop("refusal", None)
        return self._add_delta(news)

    def _add_delta(self, delta: Mapping[str, Any]) -> Sequence[Piece]:
        text = delta.get("content")
        if len(delta) > 1 or type(text) is not str:
            self._add_beside_text(delta)
            text = _plain(text or delta.get("refusal"))
        if not text:
            self._check_length()
            return ()
        before: Sequence[Piece] = ()
        if self._repeated:
            # It was not the last text, so it was meant.
            before, self._repeated = self._say(self._repeated), ""
        if len(text) == self._raw_length and self._is_said_again(text):
            return before
        return [*before, *self._say(text)] if before else self._say(text)

    def _check_length(self) -> None:
        if self._length > MAX_REPLY_CHARS:
            raise ModelError("The model's reply is too long.", is_retryable=False)

    def _say(self, text: str) -> Sequence[Piece]:
        self._length += len(text)
        self._check_length()
        self._raw.append(text)
        self._raw_length += len(text)
        told = self._thinking.feed(text)
        if self._thinking.takes_back:
            self._text.clear()
            return [TakenBack(), *self._told(told)]
        return self._told(told)

    def _told(self, text: str) -> Sequence[Piece]:
        if not text:
            return ()
        self._text.append(text)
        return (text,)

    def _add_beside_text(self, delta: Mapping[str, Any]) -> None:
        if count := self._reasoning.add(delta):
            self._length += count
            self._thinking.end_search()
        calls = delta.get("tool_calls")
        if not calls and (called := delta.get("function_call")):
            calls = [{"function": called}]
        if calls:
            self._length += self._calls.add(calls)

    def _is_said_again(self, text: str) -> bool:
        """Whether a piece repeats the whole text before it; one that may do so is held back."""
        is_one = len(self._raw) == 1
        if len(text) < (MIN_REPEATED if is_one else MIN_REPEATED_PIECES):
            return False
        if text != "".join(self._raw):
            return False
        if not self.is_finished and (is_one or len(text) < MIN_REPEATED_EARLY):
            self._repeated = text
        return True

    def _kept(self) -> Reasoning | None:
        fields, calls = self._reasoning.fields, self._calls.extras()
        if not fields and not any(calls):
            return None
        return Reasoning(self._origin, fields, calls if any(calls) else ())


_NOT_REASONING = frozenset({"role", "content", "refusal", "tool_calls", "function_call"})


def _plain(content: Any) -> str:
    """Text given as a string, or as a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            part["text"] for part in content if isinstance(part, dict) and _is_text(part)
        )
    return ""


def _is_text(part: Mapping[str, Any]) -> bool:
    is_thought = str(part.get("type")).startswith(("thinking", "reasoning"))
    return isinstance(part.get("text"), str) and not is_thought


def _failed(error: ReportedError) -> ModelError:
    return ModelError(
        "The model failed while it was answering.",
        is_retryable=not error.is_final,
        may_ask_again=True,
        cause=error.words,
    )


def _nothing_left(cut: Cut, *, has_thought: bool) -> ModelError:
    if cut == "content_filter":
        return ModelError(
            "The model's provider held the answer back: its content filter objected.",
            is_retryable=False,
        )
    if has_thought:
        return ModelError(
            "The model used up its tokens for reasoning, before it came to an answer.",
            is_retryable=False,
        )
    return ModelError(
        "The model reached its limit of tokens before it said anything.", is_retryable=False
    )


def _unreadable(data: bytes) -> ModelError:
    begin = " ".join(data[:300].decode("utf-8", "replace").split())
    return ModelError(
        "The model gave a reply that can't be read.",
        is_retryable=True,
        may_ask_again=True,
        cause=f"it began with {begin!r}",
    )
