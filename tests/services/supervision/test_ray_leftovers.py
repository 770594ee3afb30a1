"""Jobs whose instances have ended leave the cluster; those of others are never touched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from services.models import Instance
from services.supervision.launchers import choice, ray_leftovers
from services.supervision.launchers.ray_cluster import ClusterAway, JobRefused, Listed
from services.supervision.launchers.ray_leftovers import Leftovers
from tests.services import rows

JOBS = st.lists(
    st.builds(Listed, st.uuids().map(str), st.sampled_from(["ours", "theirs", ""]), st.booleans()),
    unique_by=lambda job: job.id,
    max_size=12,
)


class Jobs:
    """A job server. `calls`: what it was asked, one thing after another."""

    def __init__(self, *jobs: Listed) -> None:
        self.present = {job.id: job for job in jobs}
        self.calls: list[tuple[str, str]] = []
        self.refused: set[str] = set()
        self.is_away = False

    def list_all(self) -> list[Listed]:
        self._note("list", "")
        return list(self.present.values())

    def stop(self, job_id: str) -> None:
        self._note("stop", job_id)
        job = self.present[job_id]
        self.present[job_id] = Listed(job.id, job.mark, has_ended=True)

    def forget(self, job_id: str) -> None:
        self._note("forget", job_id)
        assert self.present[job_id].has_ended
        del self.present[job_id]

    def _note(self, verb: str, job_id: str) -> None:
        self.calls.append((verb, job_id))
        if self.is_away:
            raise ClusterAway("timed out")
        if job_id in self.refused:
            raise JobRefused("status code 400")


@pytest.fixture
def listed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_leftovers, "LIST_S", 0.0)


@given(jobs=JOBS, lives=st.lists(st.booleans(), min_size=12, max_size=12))
def test_those_of_living_instances_and_of_other_sites_stay(
    jobs: list[Listed], lives: list[bool]
) -> None:
    living = {job.id for job, is_alive in zip(jobs, lives, strict=False) if is_alive}
    expected = [job for job in jobs if job.mark != "ours" or job.id in living]
    server = Jobs(*jobs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_leftovers, "LIST_S", 0.0)
        leftovers = Leftovers(server, "ours", lambda: living)
        for _ in range(3 * len(jobs) + 3):
            asked = len(server.calls)
            leftovers.tidy()
            assert len(server.calls) <= asked + 1, "a pass waits for one answer at most"
    assert list(server.present.values()) == expected


def test_the_jobs_are_listed_at_the_start_and_then_seldom() -> None:
    server = Jobs(Listed("one", "ours", has_ended=False))
    leftovers = Leftovers(server, "ours", list)
    for _ in range(5):
        leftovers.tidy()
    assert server.calls == [("list", ""), ("stop", "one")]


def test_what_is_left_is_bounded(listed_again: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_leftovers, "MOST", 2)
    server = Jobs(*(Listed(str(number), "ours", has_ended=True) for number in range(3)))
    leftovers = Leftovers(server, "ours", list)
    for _ in range(4):
        leftovers.tidy()
    assert [verb for verb, _ in server.calls] == ["list", "forget", "forget", "list"]


def test_without_a_mark_nothing_is_ours() -> None:
    server = Jobs(Listed("one", "", has_ended=True))
    Leftovers(server, "", list).tidy()
    assert not server.calls


def test_one_that_can_not_be_removed_holds_up_no_other_and_is_said_once(listed_again: None) -> None:
    server = Jobs(*(Listed(id_, "ours", has_ended=True) for id_ in ("one", "two")))
    server.refused = {"one"}
    leftovers = Leftovers(server, "ours", list)
    with capture_logs() as said:
        for _ in range(9):
            leftovers.tidy()
    assert list(server.present) == ["one"]
    assert server.calls.count(("forget", "one")) > 1
    assert [each["event"] for each in said].count("job_not_removed") == 1


def test_a_cluster_that_is_away_is_asked_again_later(listed_again: None) -> None:
    server = Jobs(Listed("one", "ours", has_ended=True))
    server.is_away = True
    leftovers = Leftovers(server, "ours", list)
    with pytest.raises(ClusterAway):
        leftovers.tidy()
    server.is_away = False
    for _ in range(2):
        leftovers.tidy()
    assert not server.present


@pytest.mark.django_db
def test_only_an_instance_that_has_not_ended_keeps_its_job() -> None:
    service = rows.service("one")
    alive = rows.instance(service)
    rows.instance(service, Instance.State.STOPPED, slot=1)
    assert choice._living() == {alive.pk}


def test_a_copy_of_a_site_and_other_machines_have_other_marks(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = {choice._mark_of_site()}
    assert marks == {choice._mark_of_site()}
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", "a copy of it")
    marks.add(choice._mark_of_site())
    monkeypatch.setattr(choice, "this_node", lambda: "another machine")
    marks.add(choice._mark_of_site())
    settings.SECRET_KEY = "another site's"
    marks.add(choice._mark_of_site())
    assert len(marks) == 4
    assert not any(settings.SECRET_KEY in mark for mark in marks)
