"""The targets by name: each takes bytes, and raises what no reader of such bytes may raise."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

Target = Callable[[bytes], None]

TARGETS: dict[str, Target] = {}
SEEDS: dict[str, list[bytes]] = {}
"""For each target some inputs that it takes, from which others are made."""


def target(name: str, *seeds: bytes) -> Callable[[Target], Target]:
    def add(function: Target) -> Target:
        TARGETS[name], SEEDS[name] = function, list(seeds)
        return function

    return add


def pieces_of(data: bytes) -> tuple[list[bytes], bytes]:
    """The input in pieces whose lengths its first bytes tell, as networks do; and whole."""
    cuts, rest = data[:4], data[4:]
    places = sorted({0, *(cut % (len(rest) + 1) for cut in cuts), len(rest)})
    return [rest[start:end] for start, end in pairwise(places)], rest
