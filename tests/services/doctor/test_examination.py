"""What a look can't finish is said, and is no alarm where only this machine is busy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from services.doctor import examination
from services.doctor.finding import Finding, Level, fine
from services.telling import tell


def test_a_look_that_computes_for_long_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    over = Event()

    def computes() -> Iterator[Finding]:
        over.wait()
        yield fine("check", "done")

    monkeypatch.setattr(examination, "look_at_checks", computes)
    monkeypatch.setattr(examination, "WORK_S", 0.01)
    try:
        [found] = [each for each in _until_reporting() if each.check == "check"]
    finally:
        over.set()
    assert found.level == Level.WARNING


def _until_reporting() -> Iterator[Finding]:
    for each in examination.examine():
        yield each
        if each.check == "check":
            return


def test_the_settings_file_that_is_in_force_is_examined(settings: Any, tmp_path: Path) -> None:
    settings.ENV_FILE = tmp_path / ".env"
    assert of_settings_file() == []
    settings.ENV_FILE.touch(mode=0o600)
    [found] = of_settings_file()
    assert found.level == Level.OK
    settings.ENV_FILE.chmod(0o644)
    [found] = of_settings_file()
    assert (found.level, tell(found.fact).startswith("Every user of")) == (Level.WARNING, True)


def test_settings_from_a_pipe_are_not_examined_for_who_reads_them(
    settings: Any, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe", 0o644)
    for place in (tmp_path / "pipe", Path(os.devnull)):
        settings.ENV_FILE = place
        assert of_settings_file() == []


def of_settings_file() -> list[Finding]:
    found = []
    for each in examination.examine():
        if each.check == "setting_names":
            return found
        found += [each] if each.check == "settings_file" else []
    return found
