"""What is installed, and not what lies beside an agent file, for the SDK's own use.

Modules of the SDK import at their top what they need; a worker sees to it that
they get it. Packages that import more while they work are called in here.
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
    """What `packages` does; by default nothing."""
    global _view
    _view = view
