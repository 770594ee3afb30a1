"""Modules of a package, imported without the package's own code and what that imports.

Afterwards the package counts as not imported. Whoever imports it gets all of it by Python's own
means, with the modules that are there already.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

from myagent import installed
from myagent.threads import is_alone


class _WithModules(Loader):
    """Executes a package with those of its modules that are imported already."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        """Who asks for its source or its files asks the loader that has them."""
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        for name, child in list(sys.modules.items()):
            package, _, own_name = name.rpartition(".")
            if package == module.__name__:
                vars(module).setdefault(own_name, child)
        assert module.__spec__ is not None
        # It is a package like any other from now on.
        module.__loader__ = module.__spec__.loader = self._loader
        # As when the SDK imported the others: not the modules beside an agent file.
        with installed.packages():
            self._loader.exec_module(module)


class _Finder(MetaPathFinder):
    """Finds packages of which modules were imported before."""

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec] = {}

    def know(self, specs: Mapping[str, ModuleSpec]) -> None:
        """From now on it finds these, too, in the place of the finder of all files."""
        self._specs.update(specs)
        if self not in sys.meta_path:
            # Hooks that come before that one are asked as always.
            at = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else 0
            sys.meta_path.insert(at, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._specs:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None or spec.origin != self._specs[fullname].origin:
            # Another one of that name, as beside an agent file.
            return None
        spec.loader = _WithModules(spec.loader)
        return spec


_finder = _Finder()


@contextmanager
def unread(*names: str) -> Iterator[None]:
    """As in `with unread("package", "package.inner"): from package.module import …`.

    Raises `ImportError` where that is not possible: a package is imported already, not installed,
    or hidden by another of its name; or there are other threads, which might import it meanwhile
    and find it half made.
    """
    if not is_alone():
        raise ImportError("there are other threads")
    specs: dict[str, ModuleSpec] = {}
    try:
        for name in names:
            specs[name] = _place(name)
        # Even if a module can't be imported: others may be, and belong to the package.
        _finder.know(specs)
        yield
    finally:
        for name in specs:
            sys.modules.pop(name, None)


def _place(name: str) -> ModuleSpec:
    """Lets modules of the package be imported. Raises `ImportError`."""
    parent, _, own_name = name.rpartition(".")
    path = sys.modules[parent].__path__ if parent else None
    # Once as whoever imports it finds it, and once as `_Finder` will.
    spec = None if name in sys.modules else find_spec(name)
    found = PathFinder.find_spec(name, path)
    if (
        spec is None
        or found is None
        or spec.origin != found.origin
        or spec.loader is None
        or spec.submodule_search_locations is None
    ):
        raise ImportError(f"{name} is imported already, or no package that is installed")
    package = sys.modules[name] = module_from_spec(spec)
    if parent:
        setattr(sys.modules[parent], own_name, package)
    return spec
