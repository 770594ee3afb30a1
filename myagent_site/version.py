"""Which version of the site this is."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path


def of_installation(folder: Path) -> str:
    """What the checkout in the folder says; of an installed package, its own metadata."""
    project = folder / "pyproject.toml"
    if project.is_file():
        version: str = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
        return version
    return metadata.version("myagent-site")
