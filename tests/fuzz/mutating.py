"""Changes messages where it matters: a value in their JSON, a frame's place, a line."""

from __future__ import annotations

import json
import random
from typing import Any

from myagent.worker.framing import FrameReader, FrameTooLarge, framed

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**53, 2**53 + 1, 2**63, 2**64, -(2**63), 10**30),
    *(0.5, -0.0, 1e308, float("inf"), float("nan"), "", " ", "\0", "\n", "\ud800", "\udc80\ud83d"),
    *(
        "\u202e",
        "\u2028",
        "é" * 70,
        "x" * 300,
        "0" * 65,
        [],
        {},
        [[]],
        [{}],
        {"": ""},
        {"a": {"b": 1}},
    ),
    *("user.message", "assistant", "{x}", "{x!r:9}", "%s", "../..", "a\x00b", "NaN", "1e999"),
)
DEEP = 300


def mutated(data: bytes, seed: int) -> bytes:
    """Another input made from this one. The same seed makes the same."""
    chance = random.Random(seed)
    head, rest = data[:4], data[4:]
    try:
        frames = FrameReader().feed(rest)
    except FrameTooLarge:
        frames = []
    if frames:
        frames = _rearranged([_spoilt(frame, chance) for frame in frames], chance)
        return head + b"".join(map(framed, frames))
    if rest.startswith(b"data:") or b"\ndata:" in rest:
        lines = [
            b"data: " + _spoilt(line[6:], chance) if line.startswith(b"data: {") else line
            for line in rest.split(b"\n")
        ]
        return head + b"\n".join(_rearranged(lines, chance))
    return _spoilt(data, chance)


def _rearranged(parts: list[bytes], chance: random.Random) -> list[bytes]:
    if chance.random() < 0.3:
        parts.insert(chance.randrange(len(parts) + 1), chance.choice(parts))
    if chance.random() < 0.2:
        chance.shuffle(parts)
    return parts


def _spoilt(data: bytes, chance: random.Random) -> bytes:
    """The JSON with a value, a name or a number of values changed; other bytes as they are."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return data
    for _ in range(chance.choice((0, 1, 1, 1, 2, 4))):
        value = _changed(value, chance)
    # As text: lone surrogates and numbers that are none are sent as they come.
    text = json.dumps(value, ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.1:
        text = text.replace('": ', '": ' + "[" * DEEP, 1)
    return text.encode("utf-8", "surrogatepass")


def _changed(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict) and value and chance.random() < 0.9:
        return _changed_object(dict(value), chance)
    if isinstance(value, list) and value and chance.random() < 0.8:
        copy = list(value)
        place = chance.randrange(len(copy))
        match chance.randrange(4):
            case 0:
                del copy[place]
            case 1:
                copy[place:place] = [copy[place]] * chance.choice((1, 2, 40, 2000))
            case _:
                copy[place] = _changed(copy[place], chance)
        return copy
    return chance.choice(ODD)


def _changed_object(value: dict[str, Any], chance: random.Random) -> Any:
    name = chance.choice(list(value))
    match chance.randrange(6):
        case 0:
            del value[name]
        case 1:
            value[chance.choice(list(value))] = value[name]
        case 2:
            value[str(chance.choice(ODD))[:99]] = value[name]
        case _:
            value[name] = _changed(value[name], chance)
    return value
