"""The version of the site."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path


def of_installation(folder: Path) -> str:
    """The version of the checkout in the folder, else that of the installed package."""
    project = folder / "pyproject.toml"
    if project.is_file():
        version: str = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
        return version
    return metadata.version("myagent-site")
