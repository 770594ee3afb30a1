"""Ids in the order of time (UUID version 7, RFC 9562): new rows go to one end of an index."""

from __future__ import annotations

import os
import time
from uuid import UUID


def new_id() -> str:
    """48 bits of milliseconds, then 74 random bits."""
    random = int.from_bytes(os.urandom(10))
    high = random >> 68 & 0xFFF
    low = random & 0x3FFF_FFFF_FFFF_FFFF
    milliseconds = time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low))
