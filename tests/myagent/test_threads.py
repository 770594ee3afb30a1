"""Whether an agent file has threads, which may import something at any moment."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from myagent import threads

PATIENCE_S = 20.0


@pytest.fixture
def finished() -> Iterator[threading.Event]:
    """What a test's thread waits for."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(autouse=True)
def only_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of tests before may be there still."""
    others = set(threading.enumerate()) - {threading.current_thread()}
    frames = set(sys._current_frames()) - {threading.get_ident()}
    enumerate_, current_frames = threading.enumerate, sys._current_frames
    monkeypatch.setattr(threading, "enumerate", lambda: list(set(enumerate_()) - others))
    monkeypatch.setattr(
        sys,
        "_current_frames",
        lambda: {each: frame for each, frame in current_frames().items() if each not in frames},
    )


def test_the_only_thread_is_alone() -> None:
    assert threads.is_alone()


def test_a_quiet_thread_counts_for_none(finished: threading.Event) -> None:
    threads.start_quiet(threading.Thread(target=finished.wait))
    assert threads.is_alone()


def in_a_thread(work: Callable[[], object]) -> None:
    threading.Thread(target=work).start()


def unknown_to_threading(work: Callable[[], object]) -> None:
    _thread.start_new_thread(work, ())


@pytest.mark.parametrize("start", [in_a_thread, unknown_to_threading])
def test_any_other_thread_counts_while_it_runs(
    finished: threading.Event, start: Callable[[Callable[[], object]], None]
) -> None:
    begun, has_ended = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        finished.wait()
        has_ended.set()

    start(wait)
    assert begun.wait(PATIENCE_S)
    assert not threads.is_alone()
    finished.set()
    assert has_ended.wait(PATIENCE_S)
