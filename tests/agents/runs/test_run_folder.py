"""Where workers listen: nobody else gets in, and nothing is left when the last one is out."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from agents.runs import run_folder as module
from agents.runs.run_folder import MOST_PATH_BYTES, Stay, run_folder
from agents.runs.worker_process import MOST_FAILURE_BYTES, Paths
from myagent.sentence import Said
from myagent.worker.codec import encode_said
from myagent.worker.protocol import LinkError


@pytest.fixture
def far_away(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of a site whose var folder has too long a path."""
    settings.VAR_DIR = tmp_path / ("far" * 30)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    # Of the test's own as well.
    monkeypatch.setattr(module, "MOST_PATH_BYTES", len(os.fsencode(tmp_path)) + 80)
    return tmp_path


def bound(path: Path, *, age_s: float = 60.0) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    then = path.stat().st_mtime - age_s
    os.utime(path, (then, then))
    return listening


@pytest.fixture
def var_folder(settings: Any) -> Iterator[Path]:
    """One with a path that is short enough."""
    with TemporaryDirectory(prefix="v") as folder:
        settings.VAR_DIR = Path(folder)
        yield settings.VAR_DIR


def test_it_lies_in_the_var_folder_for_its_owner_alone(var_folder: Path) -> None:
    folder = run_folder()
    assert folder == var_folder / "run"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_where_a_path_would_be_too_long_it_is_a_private_one(far_away: Path) -> None:
    folder = run_folder()
    assert folder.parent == far_away and folder == run_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_socket_with_the_longest_path_can_be_bound(tmp_path: Path) -> None:
    room = MOST_PATH_BYTES - len(os.fsencode(tmp_path)) - 1
    bound(tmp_path / ("s" * room)).close()


def test_a_link_that_somebody_planted_is_refused(far_away: Path) -> None:
    folder = run_folder()
    folder.rmdir()
    (far_away / "elsewhere").mkdir()
    folder.symlink_to(far_away / "elsewhere")
    with pytest.raises(ImproperlyConfigured, match="is not a folder"):
        run_folder()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders away")
def test_a_folder_of_somebody_else_is_refused(far_away: Path) -> None:
    os.chown(run_folder(), 12345, -1)
    with pytest.raises(ImproperlyConfigured, match="belongs to somebody else"):
        run_folder()


def test_the_last_one_out_removes_the_private_one(far_away: Path) -> None:
    first, second = Stay(), Stay()
    folder = run_folder()
    first.end()
    first.end()
    assert folder.exists()
    second.end()
    assert not folder.exists()


@pytest.mark.parametrize("moment", ["before it is opened", "once it is open"])
def test_one_that_goes_while_somebody_comes_in_is_made_again(
    far_away: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    last_one, opened = Stay(), os.open
    stays = iter([last_one])

    def open_as_it_goes(path: Any, *arguments: Any, **options: Any) -> int:
        if moment == "before it is opened":
            leave()
        number = opened(path, *arguments, **options)
        leave()
        return number

    def leave() -> None:
        for stay in stays:
            stay.end()

    monkeypatch.setattr(module.os, "open", open_as_it_goes)
    stay = Stay()
    (folder,) = far_away.glob("myagent-*")
    stay.end()
    assert not folder.exists()


def test_it_stays_while_a_worker_listens_there(far_away: Path) -> None:
    stay = Stay()
    with bound(run_folder() / "i.sock"):
        stay.end()
        assert (run_folder() / "i.sock").exists()


def test_the_one_in_the_var_folder_stays(var_folder: Path) -> None:
    stay = Stay()
    stay.end()
    assert run_folder().exists()


def test_sockets_of_the_dead_are_swept_and_no_others(var_folder: Path) -> None:
    folder = run_folder()
    bound(folder / "dead.sock").close()
    # It may be about to listen.
    with bound(folder / "new.sock", age_s=0), bound(folder / "live.sock") as live:
        live.listen()
        (folder / "dead.failure").touch()
        Stay().end()
        assert sorted(os.listdir(folder)) == ["dead.failure", "live.sock", "new.sock"]


# What a worker leaves there is somebody else's, too.


@pytest.fixture
def paths(var_folder: Path) -> Paths:
    return Paths.of("i")


def test_why_it_was_refused_is_read(paths: Paths) -> None:
    said = Said("{file} is a folder.", {"file": "a.py"})
    paths.failure.write_bytes(encode_said(said))
    assert paths.why_refused() == said


def test_a_failure_without_an_end_is_not_read_whole(paths: Paths) -> None:
    with paths.failure.open("wb") as file:
        file.truncate(100 * MOST_FAILURE_BYTES)
    with pytest.raises(LinkError, match="more than"):
        paths.why_refused()


def test_a_failure_that_is_a_pipe_is_not_waited_for(paths: Paths) -> None:
    os.mkfifo(paths.failure)
    with pytest.raises(LinkError, match="not a file"):
        paths.why_refused()


def test_a_failure_that_is_a_link_is_not_followed(paths: Paths) -> None:
    paths.failure.symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        paths.why_refused()
