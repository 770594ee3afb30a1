"""Imports go one way: between the packages, and between the rooms of each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parsing import parsed

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
    tree: ast.AST = parsed(path)
    if any(path.is_relative_to(folder) for folder in ENTRY_POINTS):
        tree = _WithoutFunctions().visit(tree)
    layer = path.relative_to(ROOT).parts[0]
    assert not set(imported(tree)) & forbidden(layer)


def test_an_import_from_above_would_be_noticed() -> None:
    tree = ast.parse("def f():\n    from services.models import Service\n")
    assert set(imported(tree)) & forbidden("agents") == {"services"}
    assert not set(imported(_WithoutFunctions().visit(tree))) & forbidden("myagent")


ROOMS = {
    "agents": (
        *("runtime", "rendezvous", "sentences", "stop_reasons", "principals", "titles"),
        *("metrics", "models", "log"),
        *("ownership", "archive", "runs", "transients", "directory", "ports", "limits", "chores"),
        *("sessions", "sockets", "serving", "calls"),
        *("checks", "apps", "terminal", "management"),
    ),
    "traces": (
        *("models", "content", "statistics", "recording", "reading", "exporting"),
        *("live", "sockets", "pruning", "rerunning", "checks", "apps"),
    ),
    "services": (
        *("telling", "errors", "fields", "models", "nodes", "doorbell"),
        *("permissions", "access", "tokens"),
        *(
            "catalogue",
            "logs",
            "supervision",
            "control",
            "connecting",
            "waiting",
            "routing",
            "views",
            "backups",
            "metrics",
            "roll_call",
            "doctor",
        ),
        *("cli", "rest", "admin"),
        *("first_admin", "serving", "checks", "apps", "management"),
    ),
}
"""What is imported comes before what imports it."""


def room_of(module: str) -> str:
    return module.split(".")[1]


def modules_of(package: str) -> Iterator[Path]:
    for path in sorted((ROOT / package).rglob("*.py")):
        if "migrations" not in path.parts:
            yield path


def dotted(path: Path) -> str:
    """A module's name; that of a package for its `__init__`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_within(path: Path, package: str) -> Iterator[str]:
    """Modules of the same package that one imports, for types and inside functions too."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [name if is_module(name) else node.module for name in names]
        else:
            continue
        yield from (name for name in found if name.startswith(f"{package}."))


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


@pytest.mark.parametrize("package", ROOMS)
def test_a_room_imports_nothing_from_the_rooms_above_it(package: str) -> None:
    order = ROOMS[package]
    wrong = [
        f"{dotted(path)} imports {name}"
        for path in modules_of(package)
        if path.parent != ROOT / package or path.stem != "__init__"
        for name in imports_within(path, package)
        if order.index(room_of(name)) > order.index(room_of(dotted(path)))
    ]
    assert not wrong


@pytest.mark.parametrize("package", ("myagent", *ROOMS, "myagent_site"))
def test_no_modules_import_each_other(package: str) -> None:
    graph = {dotted(path): {*imports_within(path, package)} for path in modules_of(package)}
    left = dict(graph)
    while free := [name for name, needs in left.items() if not needs & left.keys() - {name}]:
        for name in free:
            del left[name]
    assert not left, f"in circles: {sorted(left)}"
