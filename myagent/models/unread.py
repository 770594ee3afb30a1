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

_reading = RLock()


class _Unread(ModuleType):
    """A package whose own code was not executed yet.

    `_reader` is the thread that imports modules of it, or executes it: to that one, names
    are missing which are not there, as they are to any package that imports its own modules.
    """

    _reader: int

    def __getattr__(self, name: str) -> object:
        if self._reader == get_ident():
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        with _reading:
            if type(self) is _Unread:
                self._read()
        return getattr(self, name)

    def _read(self) -> None:
        self._reader = get_ident()
        try:
            assert self.__spec__ is not None
            assert self.__spec__.loader is not None
            self.__spec__.loader.exec_module(self)
        except BaseException:
            self._reader = 0
            raise
        self.__class__ = ModuleType  # type: ignore[assignment]


@contextmanager
def unread(*names: str) -> Iterator[None]:
    """As in `with unread("package", "package.inner"): from package.module import …`.

    Does nothing for packages that are imported already, or not installed.
    """
    made = [package for name in names if (package := _made(name)) is not None]
    try:
        yield
    except BaseException:
        for package in made:
            sys.modules.pop(package.__name__, None)
        raise
    for package in made:
        package._reader = 0


def _made(name: str) -> _Unread | None:
    parent, _, child = name.rpartition(".")
    if name in sys.modules or (parent and type(sys.modules.get(parent)) is not _Unread):
        return None
    spec = find_spec(name)
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        return None
    package = module_from_spec(spec)
    package.__class__ = _Unread
    assert isinstance(package, _Unread)
    package._reader = get_ident()
    sys.modules[name] = package
    if parent:
        setattr(sys.modules[parent], child, package)
    return package
