"""JSON whose whole numbers keep every digit: orjson's end at 64 bits."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_LONG_NUMBER = re.compile(r"\d{19}")


def loads(text: str) -> Any:
    """What the text says. Raises `ValueError` for what is not JSON, or has endless numbers."""
    value = orjson.loads(text)
    if _LONG_NUMBER.search(text) is None:
        return value
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def dumps(value: Any) -> str:
    """Its JSON. Raises `TypeError` for what has none."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
