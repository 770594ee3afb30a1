"""Modules of a package, imported without the package's own code and what that imports.

Afterwards the package counts as not imported. Whoever imports it gets all of it by Python's own
means, with the modules that are there already.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from threading import RLock
from types import ModuleType

from myagent import installed

_importing = RLock()


class _Placeholder(ModuleType):
    """Stands for a package while modules of it are imported. Other threads wait until it is over
    and have the package itself.
    """

    def __getattr__(self, name: str) -> object:
        with _importing:
            if sys.modules.get(self.__name__) is self:
                raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(import_module(self.__name__), name)


class _WithModules(Loader):
    """Executes a package with those of its modules that were imported before."""

    def __init__(self, loader: Loader, modules: Mapping[str, ModuleType]) -> None:
        self._loader = loader
        self._modules = modules

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(self._modules)
        assert module.__spec__ is not None
        # What asks for its source or its files asks the one that has them.
        module.__loader__ = module.__spec__.loader = self._loader
        # As when the SDK imported the others: not the modules beside an agent file.
        with installed.packages():
            self._loader.exec_module(module)


class _Finder(MetaPathFinder):
    """Finds packages of which modules were imported before."""

    def __init__(self, packages: Sequence[_Placeholder]) -> None:
        self._found = {package.__name__: _found(package) for package in packages}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._found:
            return None
        known, loader = self._found[fullname]
        return spec_from_file_location(
            fullname,
            known.origin,
            loader=loader,
            submodule_search_locations=known.submodule_search_locations,
        )


def _found(package: _Placeholder) -> tuple[ModuleSpec, _WithModules]:
    """The package as it was found, and what executes it."""
    spec = package.__spec__
    assert spec is not None
    assert spec.loader is not None
    modules = {
        name: value
        for name, value in vars(package).items()
        if isinstance(value, ModuleType)
        and type(value) is not _Placeholder
        and value is sys.modules.get(f"{package.__name__}.{name}")
    }
    return spec, _WithModules(spec.loader, modules)


@contextmanager
def unread(*names: str) -> Iterator[None]:
    """As in `with unread("package", "package.inner"): from package.module import …`.

    Does nothing for packages that are imported already, or not installed.
    """
    with _importing:
        made = [package for name in names if (package := _made(name)) is not None]
        try:
            yield
            if made:
                sys.meta_path.insert(0, _Finder(made))
        finally:
            for package in made:
                sys.modules.pop(package.__name__, None)


def _made(name: str) -> _Placeholder | None:
    parent, _, child = name.rpartition(".")
    if name in sys.modules or (parent and type(sys.modules.get(parent)) is not _Placeholder):
        return None
    spec = find_spec(name)
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        return None
    package = module_from_spec(spec)
    package.__class__ = _Placeholder
    assert isinstance(package, _Placeholder)
    sys.modules[name] = package
    if parent:
        setattr(sys.modules[parent], child, package)
    return package
