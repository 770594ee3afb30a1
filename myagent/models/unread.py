"""Packages of which some modules are imported without all the others.

What a package imports for its own users is executed when somebody asks it for a name.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from threading import RLock, get_ident
from types import ModuleType

from myagent import installed

_reading = RLock()


class _Unread(ModuleType):
    """A package whose own code was not executed yet.

    `_reader` is the thread that imports modules of it, or executes it; 0 for none. That one finds
    and sets names as in any package that imports its own modules.
    """

    def __getattr__(self, name: str) -> object:
        self._be_read()
        if type(self) is _Unread:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        # A thread that has imported a module of it does not wait for one that executes the package:
        # that may wait for the same module.
        if value is not sys.modules.get(f"{self.__name__}.{name}", self):
            self._be_read()
        ModuleType.__setattr__(self, name, value)

    def __dir__(self) -> list[str]:
        self._be_read()
        return list(ModuleType.__dir__(self))

    def _be_read(self) -> None:
        """By another thread than `_reader`."""
        state = vars(self)
        if state["_reader"] == get_ident():
            return
        with _reading:
            if type(self) is not _Unread:
                return
            state["_reader"] = get_ident()
            try:
                assert self.__spec__ is not None
                assert self.__spec__.loader is not None
                # As when the SDK imported it: not the modules beside an agent file.
                with installed.packages():
                    self.__spec__.loader.exec_module(self)
                self.__class__ = ModuleType  # type: ignore[assignment]
            finally:
                state["_reader"] = 0


@contextmanager
def unread(*names: str) -> Iterator[None]:
    """As in `with unread("package", "package.inner"): from package.module import …`.

    Does nothing for packages that are imported already, or not installed. Other threads that ask
    for a name meanwhile wait.
    """
    with _reading:
        made = [package for name in names if (package := _made(name)) is not None]
        try:
            yield
        except BaseException:
            for package in made:
                sys.modules.pop(package.__name__, None)
            raise
        for package in made:
            vars(package)["_reader"] = 0


def _made(name: str) -> _Unread | None:
    parent, _, child = name.rpartition(".")
    if name in sys.modules or (parent and type(sys.modules.get(parent)) is not _Unread):
        return None
    spec = find_spec(name)
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        return None
    package = module_from_spec(spec)
    vars(package)["_reader"] = get_ident()
    package.__class__ = _Unread
    assert isinstance(package, _Unread)
    sys.modules[name] = package
    if parent:
        setattr(sys.modules[parent], child, package)
    return package
