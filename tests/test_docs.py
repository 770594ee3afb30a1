"""What the documents show is tried: every file in them is loaded, asked and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from myagent.loading import load_agent_file
from myagent.messages import ChatMessage
from myagent.runnable import Runnable
from myagent.steps import Answer, ConfirmationAsked, Decision

ROOT = Path(__file__).resolve().parent.parent
DOCS = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]
BLOCK = re.compile(r"^```python\n(# (?P<name>\w+\.py)\n.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://)(?P<path>[^)#\s]*)(#(?P<anchor>[^)\s]+))?\)")


def files_in(page: Path) -> dict[str, str]:
    """The blocks of Python whose first line is a file's name."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return {block["name"]: block[1] for block in found}


SHOWN = files_in(ROOT / "docs" / "agents.md")
EXAMPLES = {path.name: path for path in (ROOT / "examples").glob("*.py")}
OF_EXAMPLES = [name for name in SHOWN if name in EXAMPLES]
FILES = {name: text for name, text in SHOWN.items() if name not in EXAMPLES}
AGENTS = [name for name in FILES if not name.startswith("test_")]
TESTS = [name for name in FILES if name.startswith("test_")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


async def ask(agent: Runnable, text: str) -> str:
    async def yes(asked: ConfirmationAsked) -> Decision:
        return Decision(approved=True)

    steps = [step async for step in agent.run([ChatMessage("user", text)], confirm=yes)]
    answer = steps[-1]
    assert isinstance(answer, Answer)
    return answer.text


@pytest.mark.parametrize("name", AGENTS)
async def test_an_agent_file_of_the_documents_loads_and_answers(name: str, folder: Path) -> None:
    agent = await load_agent_file(folder / name).create()
    assert await ask(agent, "Say hello to Ada, add 2 and 3, list the notes, count")


@pytest.mark.parametrize("name", OF_EXAMPLES)
def test_an_example_is_shown_as_it_is_but_for_its_docstring(name: str) -> None:
    _, _, code = EXAMPLES[name].read_text(encoding="utf-8").partition('\n"""\n\n')
    assert SHOWN[name] == f"# {name}\n{code}"


@pytest.mark.processes
@pytest.mark.parametrize("name", TESTS)
def test_a_test_of_the_documents_passes(name: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.processes
def test_an_agent_file_of_the_documents_runs_as_a_program(folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "ask.py"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "5" in done.stdout


def headings(page: Path) -> Iterator[str]:
    """The anchors of a page's headings, as code hosts make them."""
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            title = line.lstrip("#").strip().lower()
            yield re.sub(r"[^\w\- ]", "", title).replace(" ", "-")


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_no_link_between_the_documents_is_broken(page: Path) -> None:
    for link in LINK.finditer(page.read_text(encoding="utf-8")):
        target = (page.parent / link["path"]).resolve() if link["path"] else page
        assert target.exists(), link[0]
        if link["anchor"]:
            assert link["anchor"] in set(headings(target)), link[0]
