"""What a look can't finish is said, and is no alarm where only this machine is busy."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest

from services.doctor import examination
from services.doctor.finding import Finding, Level, fine


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
