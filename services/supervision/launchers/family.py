"""What processes started, and what that started: looked up in the system's table of parents.

A worker adopts what its children leave behind (`myagent.worker.descendants`), so nothing that it
started leaves its family while it lives, whatever session or environment it has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import psutil

from agents.runtime.process import identity_of

Children = Mapping[int, Sequence[int]]


def all_children() -> Children:
    """The children of every process, as they are now."""
    found: dict[int, list[int]] = defaultdict(list)
    for process in psutil.process_iter(["ppid"]):
        found[process.info["ppid"] or 0].append(process.pid)
    return found


def descendants(leader: int, children: Children) -> list[int]:
    """All that stem from it, parents first, without itself."""
    found: list[int] = []
    left = list(children.get(leader, ()))
    while left:
        pid = left.pop(0)
        if pid not in found:
            found.append(pid)
            left += children.get(pid, ())
    return found


def identities(pids: Sequence[int]) -> set[str]:
    """What names those that live, and no others, ever."""
    return {identity for pid in pids if (identity := identity_of(pid)) is not None}
