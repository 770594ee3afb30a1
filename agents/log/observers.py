"""Other apps' counters of what is committed. No I/O.

They register by their import path, since most commands commit nothing and need not import them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from agents.log.writes import Write

_paths: list[str] = []


def register(path: str) -> None:
    """`path`: of a function that is called with each committed write, in the journal's thread.

    It has to be quick. To be called while Django starts. Raises `RuntimeError` if it is too late.
    """
    if registered.cache_info().currsize:
        raise RuntimeError("The log is being written already.")
    _paths.append(path)


@cache
def registered() -> tuple[Callable[[Write], None], ...]:
    """Raises `ImportError` for a path that leads to nothing."""
    return tuple(import_string(path) for path in _paths)
