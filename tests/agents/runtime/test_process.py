"""A process is told apart from every other, also from a later one with its number."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from agents.runtime.process import is_provably_gone, is_stopped, own_identity

SAY_AND_WAIT = """\
from agents.runtime.process import own_identity
print(own_identity(), flush=True)
input()
"""


@pytest.fixture
def child() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that waits, and the identity that it gives itself."""
    with subprocess.Popen(
        [sys.executable, "-c", SAY_AND_WAIT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


def test_a_process_has_one_identity_that_no_other_has(
    child: tuple[subprocess.Popen[str], str],
) -> None:
    assert own_identity() == own_identity()
    assert child[1] != own_identity()


def test_the_living_are_not_gone(child: tuple[subprocess.Popen[str], str]) -> None:
    assert not is_provably_gone(own_identity())
    assert not is_provably_gone(child[1])


def test_a_killed_process_is_gone_even_before_its_parent_looks(
    child: tuple[subprocess.Popen[str], str],
) -> None:
    process, identity = child
    process.kill()
    assert process.stdout is not None
    process.stdout.read()  # To its end: the kernel has closed what the process held.
    while not is_provably_gone(identity):  # A zombie now, or in a moment.
        assert process.returncode is None
    process.wait()
    assert is_provably_gone(identity)


def test_another_process_with_the_same_number_is_not_the_same() -> None:
    place, _, start = own_identity().rpartition("/")
    assert is_provably_gone(f"{place}/{int(start) - 1}")


@pytest.mark.parametrize("identity", ["", "nonsense", "a/b/c/d", "another-boot/1/1/1"])
def test_of_what_cannot_be_seen_from_here_nothing_is_claimed(identity: str) -> None:
    assert not is_provably_gone(identity)


def test_another_namespace_cannot_be_judged() -> None:
    boot, _, rest = own_identity().partition("/")
    _, _, process = rest.partition("/")
    assert not is_provably_gone(f"{boot}/1/{process}")


def test_one_that_is_frozen_is_told_from_one_that_goes_on_or_is_gone(
    child: tuple[subprocess.Popen[str], str],
) -> None:
    process, identity = child
    place, _, start = identity.rpartition("/")
    assert not is_stopped(identity)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    assert is_stopped(identity)
    assert not is_stopped(f"{place}/{int(start) - 1}")
    process.send_signal(signal.SIGCONT)
    os.waitid(os.P_PID, process.pid, os.WCONTINUED)
    assert not is_stopped(identity)
    process.kill()
    process.wait()
    assert not is_stopped(identity)
    assert not is_stopped("nonsense")
