"""Imports go one way: myagent ← agents ← traces ← services ← myagent_site."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("myagent", "agents", "traces", "services", "myagent_site")
ENTRY_POINTS = (ROOT / "myagent" / "cli", ROOT / "myagent" / "manager")
NOT_IN_THE_SDK = ("django", "channels", "rest_framework", "structlog")

MODULES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]


def imported(tree: ast.AST) -> Iterator[str]:
    """The top-level packages that a tree imports, absolutely."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


class _WithoutFunctions(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        return None

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        return None


def forbidden(layer: str) -> set[str]:
    above = LAYERS[LAYERS.index(layer) + 1 :]
    return {*above, *(NOT_IN_THE_SDK if layer == "myagent" else ())}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_nothing_from_the_layers_above_it(path: Path) -> None:
    tree: ast.AST = ast.parse(path.read_text(encoding="utf-8"))
    if any(path.is_relative_to(folder) for folder in ENTRY_POINTS):
        tree = _WithoutFunctions().visit(tree)
    layer = path.relative_to(ROOT).parts[0]
    assert not set(imported(tree)) & forbidden(layer)


def test_an_import_from_above_would_be_noticed() -> None:
    tree = ast.parse("def f():\n    from services.models import Service\n")
    assert set(imported(tree)) & forbidden("agents") == {"services"}
    assert not set(imported(_WithoutFunctions().visit(tree))) & forbidden("myagent")
