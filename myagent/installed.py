"""Lets the SDK import installed packages rather than modules beside an agent file.

Modules of the SDK import what they need at the top; a worker makes sure that they get the installed
packages. Packages that import more at run time are called within `packages`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

View = Callable[[], AbstractContextManager[None]]

_view: View = nullcontext


def packages() -> AbstractContextManager[None]:
    """As in `with installed.packages():`. Meanwhile nothing may be awaited."""
    return _view()


def set_view(view: View) -> None:
    """The context manager behind `packages`; by default it does nothing."""
    global _view
    _view = view
