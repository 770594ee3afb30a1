"""A database that is silent holds up nobody who asks for metrics."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from prometheus_client import Metric

from services.metrics import patience
from services.metrics.patience import PatientStanding
from services.metrics.standing import Standing, database_up

WAIT_S = 10.0


class Database:
    """Silent until it is `woken`. `asked`: how often it was."""

    def __init__(self) -> None:
        self.asked = 0
        self.woken = threading.Event()

    def collect(self, _: Standing) -> Iterator[Metric]:
        self.asked += 1
        assert self.woken.wait(WAIT_S)
        yield database_up(True)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    database = Database()
    monkeypatch.setattr(patience, "ANSWERS_S", 0.01)
    monkeypatch.setattr(Standing, "collect", lambda self: database.collect(self))
    yield database
    database.woken.set()
    until_answered()


def until_answered() -> None:
    for thread in threading.enumerate():
        if thread.name == "standing":
            thread.join(WAIT_S)


def is_up(standing: PatientStanding) -> bool:
    ((sample,),) = (metric.samples for metric in standing.collect())
    return bool(sample.value)


def test_a_silent_database_counts_as_away_and_is_asked_once(database: Database) -> None:
    standing = PatientStanding()
    assert not is_up(standing)
    assert not is_up(standing)
    assert database.asked == 1


def test_it_is_back_when_it_has_answered_in_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing = PatientStanding()
    assert not is_up(standing)
    database.woken.set()
    until_answered()
    list(standing.collect())
    until_answered()
    monkeypatch.setattr(patience, "ANSWERS_S", WAIT_S)
    assert is_up(standing)
