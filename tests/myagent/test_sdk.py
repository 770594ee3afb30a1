from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import myagent
from myagent.sdk import sdk_folder

PACKAGE = Path(myagent.__file__).resolve().parent


def test_the_folder_holds_nothing_but_the_sdk(tmp_path: Path) -> None:
    folder = sdk_folder(tmp_path / "var")
    assert folder == tmp_path / "var" / "sdk"
    assert [entry.name for entry in folder.iterdir()] == ["myagent"]
    assert (folder / "myagent").resolve() == PACKAGE
    assert [entry.name for entry in folder.parent.iterdir()] == ["sdk"]


@pytest.mark.parametrize("wrong", ["/nowhere", "/"])
def test_a_link_that_leads_elsewhere_is_mended(tmp_path: Path, wrong: str) -> None:
    folder = sdk_folder(tmp_path)
    (folder / "myagent").unlink()
    (folder / "myagent").symlink_to(wrong)
    assert (sdk_folder(tmp_path) / "myagent").resolve() == PACKAGE


def test_a_sound_folder_is_left_alone(tmp_path: Path) -> None:
    link = sdk_folder(tmp_path) / "myagent"
    before = link.lstat()
    sdk_folder(tmp_path)
    assert link.lstat().st_ino == before.st_ino


def test_what_is_in_the_way_is_told_and_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "sdk" / "myagent" / "somebody's").mkdir(parents=True)
    with pytest.raises(OSError):
        sdk_folder(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["sdk"]


@pytest.mark.processes
def test_processes_that_make_it_at_once_find_it_whole(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from myagent.sdk import sdk_folder\n"
        "sys.stdin.readline()\n"
        "for _ in range(200):\n"
        "    assert (sdk_folder(Path(sys.argv[1])) / 'myagent' / '__init__.py').exists()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait(60) for process in processes] == [0] * 4
    assert [entry.name for entry in (tmp_path / "sdk").iterdir()] == ["myagent"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["sdk"]
