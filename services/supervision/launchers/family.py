"""The descendants of processes, according to the system's table of parents.

A worker adopts orphaned descendants (`myagent.worker.descendants`), so while it is alive it stays
the ancestor of everything that it started, in any session and with any environment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import psutil

from agents.runtime.process import identity_of

Children = Mapping[int, Sequence[int]]


def all_children() -> Children:
    """The present children of every process."""
    found: dict[int, list[int]] = defaultdict(list)
    for process in psutil.process_iter(["ppid"]):
        found[process.info["ppid"] or 0].append(process.pid)
    return found


def descendants(leader: int, children: Children) -> list[int]:
    """All descendants, parents first, without the process itself."""
    found: list[int] = []
    left = list(children.get(leader, ()))
    while left:
        pid = left.pop(0)
        if pid not in found:
            found.append(pid)
            left += children.get(pid, ())
    return found


def identities(pids: Sequence[int]) -> set[str]:
    """The identities of those that are alive: each names that process and no other one ever."""
    return {identity for pid in pids if (identity := identity_of(pid)) is not None}
