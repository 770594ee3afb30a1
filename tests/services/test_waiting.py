"""Whoever waits for a service sees the same, however they sleep in between."""

from __future__ import annotations

import pytest
from django.utils import timezone

from services import control, doorbell
from services.models import Instance, Service
from services.waiting import Watch, follow
from tests.services import rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

LONG_S = 3600.0


def starting() -> Service:
    return rows.service("echo", Service.Status.STARTING)


def become(service: Service, **observed: object) -> None:
    Service.objects.filter(pk=service.pk).update(**observed)
    doorbell.ring(service.pk)


def test_nothing_is_seen_twice() -> None:
    service = starting()
    watch = Watch(service.pk, LONG_S)
    first = watch.look()
    assert first is not None
    assert (first.service, first.is_final) == (service, False)
    assert watch.look() is None
    doorbell.ring(service.pk)
    assert watch.look() is not None


def test_one_that_arrives_is_no_longer_waited_for() -> None:
    service = starting()
    watch = Watch(service.pk, LONG_S)
    watch.look()
    rows.instance(service)
    become(service, status=Service.Status.RUNNING)
    seen = watch.look()
    assert seen is not None
    assert (seen.has_arrived, seen.has_failed, seen.is_final) == (True, False, True)


def test_one_that_fails_is_no_longer_waited_for() -> None:
    service = starting()
    become(service, status=Service.Status.ERROR)
    seen = Watch(service.pk, LONG_S).look()
    assert seen is not None
    assert (seen.has_arrived, seen.has_failed, seen.is_final) == (False, True, True)


@pytest.mark.parametrize("status", [Service.Status.STOPPED, Service.Status.ERROR])
def test_one_on_its_way_off_the_list_is_waited_for_until_it_is_gone(status: str) -> None:
    service = rows.service("echo", Service.Status.STOPPED)
    watch = Watch(service.pk, LONG_S)
    become(service, status=status, unregistered_at=timezone.now())
    leaving = watch.look()
    assert leaving is not None
    assert (leaving.is_leaving, leaving.is_final) == (True, False)
    service.delete()
    gone = watch.look()
    assert gone is not None
    assert (gone.service, gone.is_final) == (None, True)


def test_nobody_sleeps_longer_than_their_time() -> None:
    assert Watch("any", LONG_S).pause_s() == doorbell.LOOK_S
    short = Watch("any", doorbell.LOOK_S / 2).pause_s()
    assert short is not None
    assert 0 < short <= doorbell.LOOK_S / 2
    assert Watch("any", 0).pause_s() is None


def test_who_follows_sees_each_change_until_it_arrives() -> None:
    service = starting()
    changes = iter(
        [
            lambda: rows.instance(service, Instance.State.STARTING),
            lambda: become(service, restart_count=1),
            lambda: Instance.objects.update(state=Instance.State.RUNNING),
            lambda: become(service, status=Service.Status.RUNNING),
        ]
    )
    seen = list(follow(service.pk, LONG_S, lambda _: next(changes)()))
    assert [each.status for each in seen] == ["starting", "starting", "running"]
    assert control.has_arrived(seen[-1])


def test_who_follows_without_time_looks_once() -> None:
    service = starting()
    assert list(follow(service.pk, 0, lambda _: pytest.fail("nobody sleeps"))) == [service]


def test_who_follows_one_that_is_gone_sees_nothing() -> None:
    assert list(follow("gone", LONG_S, lambda _: pytest.fail("nobody sleeps"))) == []
