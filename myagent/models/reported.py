"""Errors that a server reports in JSON, in any of the known shapes. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from myagent import exact_json

MAX_WORDS = 2000
"""Maximum number of characters of a server's error that are passed on."""

_WORDS = (
    "message", "error_message", "error_msg", "msg", "status_msg", "faultstring", "detail", "details"
)  # fmt: skip
_TITLE = "title"
"""Less telling than other words, and no error by itself."""

_CODES = ("code", "status_code", "statusCode", "error_code")
_REASONS = ("type", "error_type", "param", "reason")

_NOT_USUAL = frozenset({"error", "errors", "base_resp", "x_groq"})
"""Fields of a chunk with text that may contain an error; most chunks have none of them."""

_PINGS = frozenset({"ping", "heartbeat", "keepalive", "keep-alive"})

_WAITING_HELPS = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True)
class ReportedError:
    """`words` are the server's own; `is_final`: the same request would fail again."""

    words: str
    code: str = ""
    is_final: bool = False


def error_in(chunk: Mapping[str, Any]) -> ReportedError | None:
    """The error that an event of a stream is or contains; None for any other event."""
    choices = chunk.get("choices")
    if choices and not (_NOT_USUAL & chunk.keys()) and "error" not in choices[0]:
        return None
    for given in _places(chunk):
        if given is True:
            return reported({name: chunk[name] for name in chunk if name != "error"})
        if given:
            return reported(given)
    if chunk.get("choices") or chunk.get("usage"):
        return None
    has_words = any(isinstance(chunk.get(name), str) and chunk[name] for name in _WORDS)
    has_code = any(_is_failure(chunk.get(name)) for name in _CODES) or _is_refused(chunk)
    is_told = "error" in (chunk.get("object"), chunk.get("type"), chunk.get("status"))
    return reported(chunk) if is_told or has_words or has_code or chunk.get("detail") else None


def is_strange(event: Mapping[str, Any]) -> bool:
    """Whether an event is no part of a reply as far as anybody knows: it may be an error."""
    is_part = "choices" in event or "usage" in event or not event
    return not is_part and event.get("type") not in _PINGS


def reported(given: Any) -> ReportedError:
    """The content of an error: an object, a list of objects, or a text."""
    inner = _innermost(given)
    if not isinstance(inner, Mapping):
        return ReportedError(_cut(inner))
    code = next((inner[name] for name in (*_CODES, "status") if inner.get(name)), "")
    words = next((inner[name] for name in (*_WORDS, _TITLE) if inner.get(name)), None)
    if words is None:
        return ReportedError(_cut(inner), _cut(code), _is_final(code))
    about = [_cut(inner[name]) for name in _REASONS if inner.get(name)]
    if code:
        about.insert(0, _cut(code))
    told = _cut(words) + (f" ({', '.join(about)})" if about else "")
    return ReportedError(told[:MAX_WORDS], _cut(code), _is_final(code))


def _places(chunk: Mapping[str, Any]) -> list[Any]:
    """Where an event may contain an error besides other things."""
    resp, groq = chunk.get("base_resp"), chunk.get("x_groq")
    choices = chunk.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    found = [chunk.get("error"), chunk.get("errors"), chunk.get("fault")]
    if isinstance(resp, Mapping) and _is_failure(resp.get("status_code")):
        found.append(resp)
    if isinstance(groq, Mapping):
        found.append(groq.get("error"))
    if isinstance(choice, Mapping):
        found.append(choice.get("error"))
    return found


def _is_failure(code: Any) -> bool:
    """Whether a code indicates an error; zero and 200 indicate success."""
    if isinstance(code, bool) or not isinstance(code, int | str):
        return False
    return str(code).strip().lower() not in ("", "0", "200", "ok", "success")


def _is_refused(event: Mapping[str, Any]) -> bool:
    """Whether an event has the HTTP status of a failure; other servers have words in this field."""
    status = str(event.get("status")).strip()
    return status.isascii() and status.isdigit() and len(status) == 3 and status >= "400"


def _innermost(given: Any) -> Any:
    """The error itself: proxies nest errors, and put them into lists."""
    for _ in range(4):
        if isinstance(given, list) and len(given) == 1:
            given = given[0]
        elif isinstance(given, Mapping) and isinstance(given.get("error"), Mapping | str | list):
            given = given["error"] or given.get("message")
        else:
            break
    return given


def _is_final(code: Any) -> bool:
    try:
        status = int(code)
    except (TypeError, ValueError):
        return False
    return 400 <= status < 500 and status not in _WAITING_HELPS


def _cut(value: Any) -> str:
    """A value as one line of limited length."""
    text = value if isinstance(value, str) else exact_json.encode(value).decode()
    return " ".join(text[: 2 * MAX_WORDS].split())[:MAX_WORDS]
