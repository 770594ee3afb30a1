"""JSON by orjson; where that is not installed, by the standard library, with the same results.

An agent's environment need not have orjson: `dumps`, `loads` and `NON_STR_KEYS`
are orjson's own where it is there, so that they cost nothing more.
"""

from __future__ import annotations

try:
    from orjson import OPT_NON_STR_KEYS as NON_STR_KEYS
    from orjson import dumps, loads
except ImportError:
    from myagent.plain_json import NON_STR_KEYS, dumps, loads

__all__ = ["NON_STR_KEYS", "compact", "dumps", "loads"]


def compact(data: bytes) -> bytes:
    """The same bytes in no more memory than they need: for those that are kept.

    orjson returns them in the memory in which it wrote them, which is 4 KiB at least.
    """
    return bytes(memoryview(data))
