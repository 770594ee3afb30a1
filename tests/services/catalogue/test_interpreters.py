"""An interpreter that can't be used is refused by a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.catalogue import agent_files, interpreters
from services.errors import ServiceError

UNKNOWN_USER = "~nobody-of-that-name/python"


@pytest.fixture
def out_of_reach(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A path below a folder that this process may not enter; to root all are open."""

    def refuse(path: object, *_: object, **__: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refuse)
        yield "/closed/python"


@pytest.mark.parametrize("path", [UNKNOWN_USER, "/" + "x" * 5000, "/no/python"])
def test_an_interpreter_that_is_not_there_is_a_sentence(path: str) -> None:
    with pytest.raises(ServiceError, match=r"interpreter .*\.$"):
        interpreters.found(path, is_confined=False)


def test_what_is_out_of_reach_is_a_sentence(out_of_reach: str) -> None:
    with pytest.raises(ServiceError, match=r"can't be reached: Permission denied\.$"):
        interpreters.found(out_of_reach, is_confined=False)
    with pytest.raises(ServiceError, match=r"can't be reached: Permission denied\.$"):
        agent_files.found(out_of_reach, is_confined=False)
