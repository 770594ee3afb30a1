"""Python files as syntax trees."""

from __future__ import annotations

import ast
import gc
from pathlib import Path


def parsed(path: Path) -> ast.Module:
    """The tree of a file.

    No garbage is collected meanwhile: what a destructor does (a task that nobody awaited logs its
    traceback) upsets CPython 3.11's count of nested calls, and it raises `SystemError` (gh-106905).
    """
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    finally:
        gc.enable()
