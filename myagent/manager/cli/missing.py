"""Tells how to install the packages that the site needs. Imports none of them."""

from __future__ import annotations

import sys
from pathlib import Path

from myagent.manager.tree import PACKAGES, ROOT


def how_to_install(error: ModuleNotFoundError, root: Path = ROOT) -> str:
    """The advice in English: the catalogue may be missing. Re-raises errors of our own modules."""
    name = (error.name or "").partition(".")[0]
    if not name or name in PACKAGES | {"myagent"}:
        raise error
    lines = [f"{sys.executable} lacks the package {name!r}, which the site needs."]
    if Path(sys.prefix) == root / ".venv":
        lines.append(f"Complete this environment: {root / 'scripts' / 'bootstrap'}")
    elif (root / "requirements-ws.txt").is_file():
        lines += [
            "Use the environment of this checkout, which scripts/bootstrap makes:",
            f"  {root / '.venv' / 'bin' / 'python'}",
            "or install what is needed here:",
            f"  {sys.executable} -m pip install -r {root / 'requirements-ws.txt'}",
        ]
    else:
        lines.append(f"Install it anew: {sys.executable} -m pip install --upgrade myagent-site")
    return "\n".join(lines)
