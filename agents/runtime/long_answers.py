"""Answers that have no end of their own, such as streams of events: the server ends them last.

A server that shuts down waits for every answer, and takes one that goes on for a failure.
"""

from __future__ import annotations

from collections.abc import Callable

_ends: list[Callable[[], None]] = []


def end_with_the_server(end: Callable[[], None]) -> None:
    """Has `end` called on the server's event loop, once it takes no more requests."""
    _ends.append(end)


def end_all() -> None:
    """May be called twice."""
    for end in _ends:
        end()
