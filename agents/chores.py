"""Work that every server does from time to time for apps above this one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import NamedTuple

from django.conf import settings
from django.utils.module_loading import import_string

from agents.runtime.database import DatabaseThreads


class Chore(NamedTuple):
    """`work` is repeated after pauses, first at the server's start. A failure is logged."""

    pause_s: float
    work: Callable[[DatabaseThreads], Awaitable[None]]


@cache
def configured() -> tuple[Chore, ...]:
    """Those that `settings.MYAGENT_CHORES` names."""
    return tuple(import_string(path) for path in settings.MYAGENT_CHORES)
