"""Rendezvous hashing: a client always gets the same of several places.

Thaler and Ravishankar, 1998.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b


def place_of(client: str, places: Iterable[str]) -> str:
    """The place with the highest rank for the client; there is at least one.

    Every pair has a rank of its own, so a place that leaves moves only its own clients.
    """
    return max(places, key=lambda place: _rank(place, client))


def _rank(place: str, client: str) -> bytes:
    return blake2b(f"{place}\0{client}".encode(errors="replace"), digest_size=16).digest()
