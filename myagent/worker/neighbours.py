"""Modules beside an agent file that are called like others: who gets which.

`python FILE` imports what lies beside FILE before anything else of that name.
Here the agent's code does, and the SDK does not: while a module of the SDK is
executed for the first time, its imports find what is installed.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import (
    BuiltinImporter,
    FrozenImporter,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)
from pathlib import Path
from threading import Lock, get_ident
from types import ModuleType

from myagent import installed

SDK = "myagent"

# Python has these before it looks at any folder, or they are this very program.
_NEVER_HIDDEN = {SDK, "__main__", "__mp_main__", "encodings", "importlib"}


class Neighbours(MetaPathFinder):
    """The modules in a file's folder; the file itself hides no other module.

    Names whose neighbour hides another module are the only ones for which
    `sys.modules` changes; while the SDK imports, other threads see them as it
    does. No lock is held during an import.
    """

    def __init__(self, file: Path) -> None:
        self._folder = str(file.parent)
        self._own_name = file.stem
        self._importing: Counter[int] = Counter()
        """Threads that execute modules of the SDK, how many each."""
        self._lock = Lock()
        self._hidden: dict[str, ModuleType] = {}
        self._aside: dict[str, ModuleType] = {}
        """Neighbours, while the modules that they hide are in their places."""

    def move_in(self) -> None:
        """From now on the neighbours are what their names import."""
        sys.meta_path.insert(0, self)
        installed.set_view(self.out_of_the_way)
        self._hide()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.startswith(f"{SDK}."):
            return self._sdk_spec(name, path)
        if "." in name:
            return None
        if self._importing[get_ident()]:
            return self._spec_elsewhere(name)
        return self._spec_of_own_name() if name == self._own_name else None

    @contextmanager
    def out_of_the_way(self) -> Iterator[None]:
        """Meanwhile this thread imports as if the folder were not there."""
        thread = get_ident()
        with self._lock:
            if not self._importing:
                self._show()
            self._importing[thread] += 1
        try:
            yield
        finally:
            with self._lock:
                self._importing[thread] -= 1
                self._importing += Counter()  # Drops those that have finished.
                if not self._importing:
                    self._hide()

    def _sdk_spec(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _SdkLoader(spec.loader, self)
        return spec

    def _spec_of_own_name(self) -> ModuleSpec | None:
        """What the file would hide if it were a neighbour."""
        try:
            spec = self._spec_elsewhere(self._own_name)
        except ModuleNotFoundError:
            return None
        return spec if spec.loader is not None else None

    def _spec_elsewhere(self, name: str) -> ModuleSpec:
        """Raises `ModuleNotFoundError`, lest the next finder finds the neighbour."""
        elsewhere = [entry for entry in sys.path if os.path.realpath(entry) != self._folder]
        for finder in sys.meta_path:
            if finder is self:
                continue
            if finder is PathFinder:
                spec = PathFinder.find_spec(name, elsewhere)
            else:
                spec = finder.find_spec(name, None)
            if spec is not None:
                return spec
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    def _hide(self) -> None:
        """Takes modules out of `sys.modules` whose names neighbours have, and puts those back."""
        for neighbour in self._that_hide_loaded():
            if not self._lies_here(neighbour.name):
                self._hidden |= _taken_out(neighbour)
        sys.modules.update(self._aside)
        self._aside.clear()

    def _show(self) -> None:
        """Puts the modules that were hidden into their places, and the neighbours aside."""
        for neighbour in self._that_hide_loaded():
            if self._lies_here(neighbour.name) and self._hides_another(neighbour.name):
                self._aside |= _taken_out(neighbour)
        sys.modules.update(self._hidden)
        self._hidden.clear()

    def _that_hide_loaded(self) -> Iterator[ModuleSpec]:
        """The neighbours that are called like a module that is loaded, or are loaded themselves."""
        try:
            names = {entry.partition(".")[0] for entry in os.listdir(self._folder)}
        except OSError:
            return  # Nothing can be imported from it either; the loading tells why.
        for name in names & sys.modules.keys() - _NEVER_HIDDEN - {self._own_name}:
            if BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name):
                continue
            spec = PathFinder.find_spec(name, [self._folder])
            # A folder that is no package has no loader, and hides nothing.
            if spec is not None and spec.loader is not None:
                yield spec

    def _lies_here(self, name: str) -> bool:
        """Whether the module that is loaded under the name is a neighbour."""
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None:
            return False
        folder = os.path.dirname(os.path.realpath(file))
        return folder in (self._folder, os.path.join(self._folder, name))

    def _hides_another(self, name: str) -> bool:
        try:
            return name in self._hidden or bool(self._spec_elsewhere(name))
        except ModuleNotFoundError:
            return False


def _taken_out(neighbour: ModuleSpec) -> dict[str, ModuleType]:
    """What is loaded under the neighbour's name, out of `sys.modules`."""
    names = [neighbour.name]
    # With a neighbour that is no package, no submodule can be meant.
    if neighbour.submodule_search_locations is not None:
        names += [each for each in sys.modules if each.startswith(f"{neighbour.name}.")]
    return {each: sys.modules.pop(each) for each in names if each in sys.modules}


class _SdkLoader(SourceFileLoader):
    """Executes a module of the SDK while the neighbours are out of the way."""

    def __init__(self, loader: SourceFileLoader, neighbours: Neighbours) -> None:
        super().__init__(loader.name, loader.path)
        self._neighbours = neighbours

    def exec_module(self, module: ModuleType) -> None:
        with self._neighbours.out_of_the_way():
            super().exec_module(module)
