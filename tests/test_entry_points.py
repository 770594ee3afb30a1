"""Every way to start the site finds it, from any folder and beside any package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from myagent.manager.cli.missing import how_to_install

ROOT = Path(__file__).parent.parent
SITE = ("agents", "services", "traces", "myagent_site")

pytestmark = pytest.mark.processes

SCRIPT = """
import asyncio, sys
from myagent.manager import AgentManager

async def main():
    async with AgentManager("here.db") as manager:
        print("services:", manager.list_services())

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with packages that are called like the site's, and with modules like others'."""
    for name in SITE:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise AssertionError('{name}')")
    (tmp_path / "channels.py").write_text("raise AssertionError('channels')")
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def run(
    folder: Path, command: Sequence[str | Path], **env: str
) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    database = {"DATABASE_URL": f"sqlite:///{folder}/site.db", "MYAGENT_SUPERVISOR": "external"}
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=outside | database | env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


COMMANDS = {
    "manage.py": [sys.executable, ROOT / "manage.py", "services", "list"],
    "manage.py with -P": [sys.executable, "-P", ROOT / "manage.py", "services", "list"],
    "myagent-ws": [ROOT / "scripts" / "myagent-ws", "services", "list"],
    "myagent.cli.server": [sys.executable, "-m", "myagent.cli.server", "services", "list"],
    "with -P": [sys.executable, "-P", "-m", "myagent.cli.server", "services", "list"],
    "myagent.manager": [sys.executable, "-m", "myagent.manager.cli.manager", "list"],
    "its help": [sys.executable, "-m", "myagent.manager.cli.manager", "--help"],
    "the proxy's help": [sys.executable, "-m", "myagent.manager.cli.proxy", "--help"],
    "the API's help": [sys.executable, "-m", "myagent.manager.cli.api", "--help"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_command_works_beside_packages_that_are_called_like_the_sites(
    folder: Path, command: list[str | Path]
) -> None:
    done = run(folder, command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_manager_works_in_a_program_beside_such_packages(folder: Path) -> None:
    (folder / "channels.py").unlink()  # A program's own neighbours are the program's business.
    done = run(folder, [sys.executable, "script.py"])
    assert done.stdout == "services: []\n", done.stderr


def test_a_program_that_has_imported_such_a_package_is_told(tmp_path: Path) -> None:
    (tmp_path / "agents.py").touch()
    (tmp_path / "script.py").write_text("import agents\n" + SCRIPT)
    done = run(tmp_path, [sys.executable, "script.py"])
    assert done.returncode == 1
    assert "WrongSettings: This program has imported a package 'agents' that is" in done.stderr


def test_the_manager_brings_nothing_else_of_the_tree_onto_the_path(tmp_path: Path) -> None:
    program = (
        "from importlib.util import find_spec; from myagent.manager import AgentManager\n"
        "AgentManager('here.db')\n"
        "print([name for name in ('manage', 'tests', 'bench', 'services') if find_spec(name)])"
    )
    done = run(tmp_path, [sys.executable, "-c", program])
    assert done.stdout == "['services']\n", done.stderr


def test_an_installed_site_is_found_too(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As pip lays it out: the site's packages lie beside the SDK on the path."""
    packages = tmp_path_factory.mktemp("site-packages")
    for name in ("myagent", *SITE):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, packages / name)
    metadata = packages / "myagent_site-0.1.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: myagent-site\nVersion: 0.1.0\n")
    command = [sys.executable, "-m", "myagent.cli.server", "services", "list"]
    done = run(folder, command, PYTHONPATH=str(packages))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "myagent.cli.server", "agent.py"],
        ["-m", "myagent.cli.server", "serve"],
        ["-m", "myagent.manager.cli.manager", "list"],
        ["-m", "myagent.manager.cli.proxy"],
        ["manage.py", "serve"],
    ],
    ids=" ".join,
)
def test_where_packages_are_missing_a_sentence_says_what_to_install(arguments: list[str]) -> None:
    # -S: an interpreter with only its standard library.
    done = run(ROOT, [sys.executable, "-S", *arguments])
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert said[0] == f"{sys.executable} lacks the package 'django', which the site needs."
    assert f"  {sys.executable} -m pip install -r {ROOT / 'requirements-ws.txt'}" in said
    assert "Traceback" not in done.stderr


def test_a_module_of_ours_that_is_missing_is_no_matter_of_installing(tmp_path: Path) -> None:
    ours = ModuleNotFoundError("No module named 'services.lost'", name="services.lost")
    with pytest.raises(ModuleNotFoundError, match=r"services\.lost"):
        how_to_install(ours)
    theirs = ModuleNotFoundError("No module named 'rich.text'", name="rich.text")
    assert "pip install --upgrade myagent-site" in how_to_install(theirs, tmp_path)


def test_an_environment_of_a_checkout_that_is_not_complete_is_not_advised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements-ws.txt").touch()
    theirs = ModuleNotFoundError("No module named 'django'", name="django")
    assert "Use the environment of this checkout" in how_to_install(theirs, tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    said = how_to_install(theirs, tmp_path)
    assert "scripts/bootstrap" in said
    assert "Use the environment" not in said
