"""JSON whose integers keep every digit: those of orjson are limited to 64 bits."""

from __future__ import annotations

import json
from typing import Any

from myagent import fast_json

_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 19


def loads(text: str | bytes) -> Any:
    """Parses JSON. Raises `ValueError` for other text, and for NaN and infinite numbers."""
    value = fast_json.loads(text)
    if not _may_have_long_numbers(text):
        return value
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _may_have_long_numbers(text: str | bytes) -> bool:
    # A regular expression would take many times as long as to parse the text.
    data = text.encode() if isinstance(text, str) else text
    return _LONG_NUMBER in data.translate(_DIGITS_AS_ZERO)


def dumps(value: Any) -> str:
    """Writes JSON. Raises `TypeError` for values without a JSON form."""
    try:
        return fast_json.dumps(value).decode()
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def encode(data: Any) -> bytes:
    """JSON of any value: what has no JSON form becomes text, lone surrogates become '?'.

    NaN and infinite numbers become null.
    """
    try:
        return fast_json.dumps(data)
    except TypeError:
        text = json.dumps(data, default=str)
        # Python would write NaN, which nobody else can read.
        finite = json.loads(text, parse_constant=lambda name: None)
        return json.dumps(finite, ensure_ascii=False).encode("utf-8", "replace")
