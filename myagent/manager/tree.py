"""Finds the site's packages for programs that start with the SDK."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

# A checkout's environment has a link to the SDK; the site's packages lie beside its target.
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = frozenset({"agents", "services", "traces", "myagent_site"})


class _SitePackages(MetaPathFinder):
    """Finds the site's packages before others of the same name, and nothing else."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(ROOT)]) if name in PACKAGES else None


def find_site() -> str | None:
    """From now on this process imports the site's packages, wherever it was started.

    One of their names for which it has imported another package is returned:
    then it can't.
    """
    if not any(isinstance(finder, _SitePackages) for finder in sys.meta_path):
        sys.meta_path.insert(0, _SitePackages())
    return next((name for name in sorted(PACKAGES) if _is_of_another(name)), None)


def leave_folder() -> None:
    """For `python -m …`: removes the current folder, whose modules are not the site's."""
    if not sys.flags.safe_path:
        del sys.path[0]


def _is_of_another(name: str) -> bool:
    if name not in sys.modules:
        return False
    file = getattr(sys.modules[name], "__file__", None)
    return file is None or Path(file).resolve().parent != ROOT / name
