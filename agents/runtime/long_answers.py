"""Responses without an end of their own, such as event streams: the server ends them last.

A server that shuts down waits for every response, and treats one that goes on as a failure.
"""

from __future__ import annotations

from collections.abc import Callable

_ends: list[Callable[[], None]] = []


def end_with_the_server(end: Callable[[], None]) -> None:
    """Registers `end`, to be called on the server's event loop once it takes no more requests."""
    _ends.append(end)


def end_all() -> None:
    """May be called twice."""
    for end in _ends:
        end()
