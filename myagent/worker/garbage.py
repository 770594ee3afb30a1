"""Python's garbage collector, while an agent file is loaded and afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

LOADED = 50_000
"""New objects between two young collections meanwhile."""


@contextmanager
def little_garbage() -> Iterator[None]:
    """What is made inside is looked through once, at the end, and what stays never again.

    More often takes a tenth of the time of importing a large package, and later it pauses runs.
    What the file itself sets holds.
    """
    usual = gc.get_threshold()
    meanwhile = (LOADED, *usual[1:])
    gc.set_threshold(*meanwhile)
    try:
        yield
    finally:
        if gc.get_threshold() == meanwhile:
            gc.set_threshold(*usual)
    gc.collect()
    gc.freeze()
