"""Quick starts of commands: keeps libraries from importing what they would only use elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


def import_structlog() -> None:
    """Without rich and Twisted, which it imports where they are installed.

    That would take a third of a short command's time, and nothing of ours uses them through it. As
    below, to be called before the process has a second thread.
    """
    with as_if_missing("rich", "structlog.twisted"):
        import_module("structlog")


@contextmanager
def as_if_missing(*names: str) -> Iterator[None]:
    """Imports inside do not find these modules, unless they are here already.

    Nor do imports of other threads.
    """
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
