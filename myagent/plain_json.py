"""What is used of orjson, written with the standard library: the same results and refusals.

Only the exponents of floats are written differently.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import Any, NoReturn

NON_STR_KEYS = 4

MAX_DEPTH = 254
"""orjson writes no deeper."""

_MAX_CALLS_OF_DEFAULT = 254
_NUMBERS = range(-(1 << 63), 1 << 64)

Default = Callable[[Any], Any]


def dumps(
    value: Any,
    /,
    default: Default | None = None,
    option: int | None = None,
    *,
    takes_long_numbers: bool = False,
) -> bytes:
    """Raises `TypeError` for values without JSON: other keys than text, long numbers, surrogates.

    `default` converts such a value. With `NON_STR_KEYS` keys may be numbers, None and the like.
    `takes_long_numbers`: writes integers with all digits, which orjson can't.
    """
    writer = _Plain(
        default, takes_any_key=option == NON_STR_KEYS, takes_long_numbers=takes_long_numbers
    )
    plain = writer.of(value)
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise TypeError("str is not valid UTF-8: surrogates not allowed") from error


def loads(data: str | bytes | bytearray | memoryview, /) -> Any:
    """Raises `json.JSONDecodeError`."""
    try:
        text = (data.encode() if isinstance(data, str) else bytes(data)).decode()
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise json.JSONDecodeError(str(error) or "it can't be read", "", 0) from error
    return value


class _Plain:
    """Makes of a value one that the standard library writes as orjson writes the original."""

    def __init__(
        self, default: Default | None, *, takes_any_key: bool, takes_long_numbers: bool
    ) -> None:
        self._default = default
        self._takes_any_key = takes_any_key
        self._takes_long_numbers = takes_long_numbers

    def of(self, value: Any, depth: int = 0, defaults: int = 0) -> Any:
        if depth > MAX_DEPTH:
            raise TypeError("Recursion limit reached")
        match value:
            case None | bool():
                return value
            case str():
                return str.__str__(value)
            case Enum():
                return self.of(value.value, depth, defaults)
            case int():
                return int(value) if self._takes_long_numbers else _number(value)
            case float():
                return value if math.isfinite(value) else None
            case dict():
                return {self._key(key): self.of(each, depth + 1) for key, each in value.items()}
            case list():
                return [self.of(each, depth + 1) for each in value]
            case _ if type(value) is tuple:
                return [self.of(each, depth + 1) for each in value]
        return self._of_object(value, depth, defaults)

    def _of_object(self, value: Any, depth: int, defaults: int) -> Any:
        if isinstance(value, datetime | date | time):
            return value.isoformat()
        if isinstance(value, uuid.UUID):
            return str(value)
        if is_dataclass(value) and not isinstance(value, type):
            names = [each.name for each in fields(value) if not each.name.startswith("_")]
            return {name: self.of(getattr(value, name), depth + 1) for name in names}
        if self._default is None or defaults == _MAX_CALLS_OF_DEFAULT:
            raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")
        return self.of(self._default(value), depth, defaults + 1)

    def _key(self, key: Any) -> str:
        if type(key) is str:
            return key
        if not self._takes_any_key:
            raise TypeError("Dict key must be str")
        plain = self.of(key)
        if isinstance(plain, dict | list):
            raise TypeError("Dict key must a type serializable with OPT_NON_STR_KEYS")
        return plain if isinstance(plain, str) else json.dumps(plain)


def _number(value: int) -> int:
    if value not in _NUMBERS:
        raise TypeError("Integer exceeds 64-bit range")
    return int(value)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value
