"""No regular expression of the project takes more time than its text is long."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.fuzz.patterns import is_slow
from tests.runners import ROOT


@pytest.mark.processes
def test_no_pattern_searches_for_ages() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.patterns"],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_a_text_is_found_for_a_careless_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    from tests.fuzz import patterns

    monkeypatch.setattr(patterns, "MOST_CPU_S", 0.3)
    former = signal.signal(signal.SIGVTALRM, patterns._stop)
    try:
        assert is_slow(re.compile(r"(?:\s+for|[\s,.])+$"))
        assert not is_slow(re.compile(r"[\s,.]*"))
    finally:
        signal.signal(signal.SIGVTALRM, former)
