"""The output of tools and models as text that can be stored and sent."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any

from myagent import fast_json, plain_json

TEXT_LIMIT = 256 * 1024
"""Bytes of UTF-8 that a result may have (wire protocol, tools and confirmations)."""


def excerpt(text: str, most: int) -> str:
    """The start of a text, on one line, for a log: control characters have no effect."""
    line = "".join(char if char.isprintable() else " " for char in text[:most])
    return f"{line}…" if len(text) > most else line


def text_of(value: Any) -> str:
    """Any value as text: containers as JSON, the rest as `str` says. Never raises.

    Iterators are not read.
    """
    try:
        return clean(_text_of(value))
    except BaseException:  # a foreign __str__ may raise anything, SystemExit too
        return f"<{type(value).__name__} that can't be shown>"


def _text_of(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict | list | tuple) or _is_record(value):
        return _json_of(value)
    return str(value)


def _json_of(value: Any) -> str:
    how: dict[str, Any] = {"default": str, "option": fast_json.NON_STR_KEYS}
    try:
        return fast_json.dumps(value, **how).decode()
    except (TypeError, ValueError):
        pass
    try:
        # Whole numbers above 64 bits: the model gets JSON nevertheless.
        return plain_json.dumps(value, **how, takes_long_numbers=True).decode()
    except (TypeError, ValueError):
        return str(value)


def _is_record(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def clean(text: str) -> str:
    """The text with each lone surrogate replaced: UTF-8 has no room for them."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # A pair of surrogates is one character, written the UTF-16 way.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def cut(text: str, limit: int = TEXT_LIMIT) -> tuple[str, int | None]:
    """The text, at most `limit` bytes of UTF-8, and its length in characters if it was longer.

    The cut never splits a code point.
    """
    if len(text) * 4 <= limit:
        return text, None
    data = text.encode()
    if len(data) <= limit:
        return text, None
    return data[:limit].decode("utf-8", "ignore"), len(text)
