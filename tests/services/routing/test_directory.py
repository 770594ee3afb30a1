"""What a site's server knows of services: every change once, whatever one of them trips over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Server
from agents.runs import link_keeper
from agents.runs.link import Link
from agents.runs.link_keys import key_of_worker
from agents.runs.remote import UNKNOWN, address_of
from agents.runs.worker_process import Paths
from agents.runs.workers import Pool, Workers
from agents.runtime.process import own_identity
from myagent import create_react_agent
from myagent.testing import ScriptedModel
from myagent.worker import ORPHAN_AFTER_S
from services import doorbell
from services.models import Instance, Service, Supervisor
from services.routing.directory import SiteDirectory
from services.routing.snapshot import read
from services.supervision import abandoned
from tests.agents.logs import let_judge, new_server
from tests.inline_worker import inline_worker
from tests.services import rows
from tests.services.measured import add_supervisor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

PATIENCE_S = 20.0

add = sync_to_async(rows.service)
add_instance = sync_to_async(rows.instance)


async def agent() -> Any:
    return create_react_agent(model=ScriptedModel(["yes"]))


@sync_to_async
def change(service: Service, **fields: Any) -> None:
    Service.objects.filter(pk=service.pk).update(**fields)
    doorbell.ring(service.pk)


class Told:
    """A directory, and what it told."""

    def __init__(self) -> None:
        self.workers = Workers()
        self.directory = SiteDirectory(self.workers)
        self.left: list[str] = []
        self.directory.on_leaving = self.left.append


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    told = Told()
    yield told
    await told.directory.stop()
    told.workers.close()


async def test_a_stop_is_told_once_however_often_others_change(told: Told) -> None:
    await add("stopped", Service.Status.STOPPED)
    other = await add("other")
    await told.directory.refresh()
    for replicas in range(3):
        await change(other, replicas=replicas)
        await told.directory.refresh()
    assert told.left == ["stopped"]


async def test_the_time_out_of_a_service_s_sessions_is_known_and_changes_with_it(
    told: Told,
) -> None:
    service = await add("quick")
    for timeout_s in (None, 2.5):
        await change(service, session_timeout_s=timeout_s)
        await told.directory.refresh()
        listed = told.directory.find("quick")
        assert listed is not None and listed.session_timeout_s == timeout_s


async def test_a_service_whose_row_is_gone_before_a_look_has_left(told: Told) -> None:
    service = await add("gone")
    await told.directory.refresh()
    await sync_to_async(service.delete)()
    await told.directory.refresh()
    assert told.left == ["gone"]
    assert told.directory.find("gone") is None


async def test_a_service_that_has_anothers_name_is_not_that_one(told: Told) -> None:
    service = await add("reborn")
    await told.directory.refresh()
    await sync_to_async(service.delete)()
    heir = await add("reborn")
    await change(heir, description="another one")
    await told.directory.refresh()
    assert told.left == ["reborn"]
    assert told.directory.find("reborn") is not None


async def test_who_fails_at_a_change_does_not_keep_it_from_the_next_look(
    told: Told,
) -> None:
    changes = []

    def fail(*name: str) -> None:
        changes.append(name)
        raise OverflowError("a port of 70000")

    told.directory.on_change = told.directory.on_leaving = fail
    one = await add("one", Service.Status.STOPPED)
    await told.directory.start()
    await change(one, desired=Service.Desired.RUNNING)
    await told.directory.refresh()
    await change(one, desired=Service.Desired.STOPPED)
    await told.directory.refresh()
    assert changes == [("one",), (), (), ("one",), ()]


@sync_to_async
def kept_apart(service: Service, name: str, process: str) -> Instance:
    """A worker beside the replicas, whose supervisor is that process; its lease has expired."""
    now = timezone.now()
    expired = now - timedelta(seconds=ORPHAN_AFTER_S + 60)
    Supervisor.objects.create(
        node=name, service=service, process=process, started_at=now, lease_until=expired
    )
    return rows.instance(service, kept_by=name)


async def until_ended(instance: Instance) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while instance.live_slot is not None:
            await asyncio.sleep(0.01)
            await instance.arefresh_from_db()


async def until_supervised(directory: SiteDirectory, is_supervised: bool) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while directory.is_supervised() is not is_supervised:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def test_whether_a_supervisor_runs_is_looked_for_again_and_again(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.routing.directory.SUPERVISOR_LOOK_S", 0.02)
    await told.directory.start()
    await until_supervised(told.directory, False)
    await sync_to_async(add_supervisor)()
    await until_supervised(told.directory, True)
    await sync_to_async(Supervisor.objects.all().delete)()
    await until_supervised(told.directory, False)


async def test_an_expired_lease_is_a_death_only_for_a_server_that_may_judge(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abandoned, "LOOK_S", 0.02)
    silent = await kept_apart(await add("silent"), "silent/1", "boot/namespace/1/1")
    dead = await kept_apart(await add("dead"), "dead/1", f"{own_identity()}9")
    await told.directory.start()
    await until_ended(dead)
    await silent.arefresh_from_db()
    assert silent.live_slot == 0
    own_id = await sync_to_async(new_server)()
    own = Server.objects.filter(pk=own_id)
    await own.aupdate(judges_from=timezone.now() + timedelta(hours=1))
    told.directory.server_id = lambda: own_id
    dead = await kept_apart(await add("dead too"), "dead/2", f"{own_identity()}9")
    await until_ended(dead)
    await silent.arefresh_from_db()
    assert silent.live_slot == 0
    await sync_to_async(let_judge)(own_id)
    await until_ended(silent)


async def linked(pool: Pool, *, not_as: Link | None = None) -> Link:
    """The pool's link, once there is one that is not the former."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for link in pool:
                if link is not not_as:
                    return link
            await asyncio.sleep(0.01)


async def test_a_worker_is_dialled_again_whatever_went_wrong(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_keeper, "ANEW_S", 0.01)
    instance = await add_instance(await add("one"))
    pool, failures = told.workers.of("one"), iter([RuntimeError("nobody expects it")])
    take = pool.add

    def trip_once(link: Link) -> None:
        for failure in failures:
            raise failure
        take(link)

    monkeypatch.setattr(pool, "add", trip_once)
    with inline_worker(agent, instance_id=instance.pk) as worker:
        Paths.of(instance.pk).socket.symlink_to(worker.path)
        await told.directory.refresh()
        link = await linked(pool)
        link.close()
        await linked(pool, not_as=link)


async def test_a_link_ends_with_the_directory(told: Told) -> None:
    instance = await add_instance(await add("one"))
    with inline_worker(agent, instance_id=instance.pk) as worker:
        Paths.of(instance.pk).socket.symlink_to(worker.path)
        await told.directory.refresh()
        link = await linked(told.workers.of("one"))
        await told.directory.stop()
        async with asyncio.timeout(PATIENCE_S):
            await link.until_closed()


async def test_a_far_worker_is_dialled_over_tcp_until_its_end_is_known(told: Told) -> None:
    """Its machine may be gone without a word: then nothing but the row tells of its end."""
    instance = await add_instance(one := await add("one"))
    key = key_of_worker(instance.pk)
    with inline_worker(agent, instance_id=instance.pk, key=key) as worker:
        for address in (UNKNOWN, address_of("127.0.0.1", worker.port)):
            row = {"node": "another machine", "address": address}
            await Instance.objects.filter(pk=instance.pk).aupdate(**row)
            await change(one)
            await told.directory.refresh()
        link = await linked(told.workers.of("one"))
        ended = {"state": Instance.State.ERROR, "live_slot": None}
        await Instance.objects.filter(pk=instance.pk).aupdate(**ended)
        await change(one)
        await told.directory.refresh()
        async with asyncio.timeout(PATIENCE_S):
            await link.until_closed()


@pytest.mark.parametrize("state", ["running", "hibernating"])
async def test_a_state_of_a_later_version_costs_only_its_own_process(
    told: Told, state: str
) -> None:
    await add_instance(await add("one"), state)
    await add("two")
    await told.directory.refresh()
    assert sorted(told.directory.names()) == ["one", "two"]


async def test_a_service_is_unhealthy_while_a_check_finds_a_process_of_it_so(told: Told) -> None:
    await add_instance(await add("well"))
    one = await add("one")
    await add_instance(one)
    ill = await add_instance(one, Instance.State.UNHEALTHY, slot=1)
    await told.directory.refresh()
    assert told.directory.unhealthy() == ["one"]
    await Instance.objects.filter(pk=ill.pk).aupdate(state=Instance.State.RUNNING)
    await change(one)
    await told.directory.refresh()
    assert told.directory.unhealthy() == []


def test_a_look_reads_nothing_that_may_be_long() -> None:
    rows.instance(rows.service("one", description="long " * 1000))
    with CaptureQueriesContext(connection) as asked:
        assert read((-1, -1)) is not None
    wordy = [each["sql"] for each in asked if "description" in each["sql"]]
    assert wordy == []
    assert len(asked) == 4
