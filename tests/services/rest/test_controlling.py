"""Start, stop, restart over REST: asked for, and waited for without holding others up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from agents.runtime.ids import new_id
from services import doorbell
from services.models import Instance, Service, Supervisor
from services.nodes import this_node
from services.rest import controlling
from services.rest.waiting import WaitingRoom
from tests.managed_site import until

from .client import Client

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

PATIENCE_S = 20


@pytest.mark.parametrize(
    ("verb", "desired"), [("start", "running"), ("restart", "running"), ("stop", "stopped")]
)
def test_what_is_asked_for_is_accepted(
    client: Client, echo: Service, supervisor: Supervisor, verb: str, desired: str
) -> None:
    answer = client.post(f"services/echo/{verb}")
    assert (answer.status, answer.json["desired"]) == (202, desired)
    assert client.get("services/echo").json["desired"] == desired


@pytest.mark.parametrize("verb", ["start", "restart", "stop"])
def test_nothing_is_asked_for_where_no_supervisor_would_act(
    client: Client, echo: Service, verb: str
) -> None:
    answer = client.post(f"services/echo/{verb}")
    assert (answer.status, answer.code) == (503, "no_supervisor")
    assert "manage.py supervise" in answer.json["detail"]
    before = (echo.revision, echo.generation, echo.desired)
    echo.refresh_from_db()
    assert (echo.revision, echo.generation, echo.desired) == before


def test_a_service_that_can_not_be_started_is_not_registered_either(client: Client) -> None:
    new = {"name": "new", "agent_factory_path": "echo.py", "auto_start": True}
    assert client.post("services", new).code == "no_supervisor"
    assert not Service.objects.exists()
    assert client.post("services", new | {"auto_start": False}).status == 201


def test_a_service_is_started_when_it_is_registered(client: Client, supervisor: Supervisor) -> None:
    new = {"name": "new", "agent_factory_path": "echo.py", "auto_start": True}
    answer = client.post("services", new)
    assert (answer.status, answer.json["desired"]) == (201, "running")


def test_an_unregistered_service_is_kept_where_no_supervisor_would_end_it(
    client: Client, echo: Service
) -> None:
    assert client.delete("services/echo").code == "no_supervisor"
    echo.refresh_from_db()
    assert echo.unregistered_at is None


def test_what_runs_elsewhere_is_not_restarted_from_here(client: Client, external: Service) -> None:
    answer = client.post("services/billing/restart")
    assert (answer.status, answer.code) == (409, "external")


def test_what_runs_elsewhere_is_closed_to_clients_and_opened_again(
    client: Client, external: Service
) -> None:
    answer = client.post("services/billing/stop?wait=10")
    assert (answer.status, answer.json["status"]) == (200, "stopped")
    answer = client.post("services/billing/start")
    assert (answer.status, answer.json["status"]) == (202, "starting")


def test_a_service_on_its_way_out_is_not_started(
    client: Client, echo: Service, supervisor: Supervisor
) -> None:
    assert client.delete("services/echo").status == 202
    answer = client.post("services/echo/start")
    assert (answer.status, answer.code) == (409, "unregistered")


@pytest.mark.parametrize("wait", ["61", "-1", "1.5", "NaN", "", "long", "9" * 30])
def test_a_wait_that_makes_no_sense_changes_nothing(
    client: Client, echo: Service, supervisor: Supervisor, wait: str
) -> None:
    for method, path in (("POST", "services/echo/start"), ("DELETE", "services/echo")):
        answer = client.ask(method, f"{path}?wait={wait}")
        assert (answer.status, answer.json["field"]) == (400, "wait")
    echo.refresh_from_db()
    assert echo.desired == "stopped" and echo.unregistered_at is None


class Observer:
    """What a supervisor would write down."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def arrive(self) -> None:
        now = timezone.now()
        Instance.objects.create(
            id=new_id(), service=self._service, slot=0, live_slot=0, state="running",
            generation=1, state_since=now, node=this_node(), launched_at=now,
        )  # fmt: skip
        self.say(status="running")

    def say(self, **facts: Any) -> None:
        Service.objects.filter(pk=self._service.pk).update(**facts)
        doorbell.ring(self._service.pk)

    def remove(self) -> None:
        Service.objects.filter(pk=self._service.pk).delete()

    async def until_desired(self, desired: str) -> None:
        await sync_to_async(until)(lambda: self._desired() == desired)

    def _desired(self) -> str:
        self._service.refresh_from_db()
        return "gone" if self._service.unregistered_at else self._service.desired


@pytest.fixture
def observer(echo: Service, supervisor: Supervisor) -> Observer:
    return Observer(echo)


async def test_who_waits_is_answered_when_it_got_there(client: Client, observer: Observer) -> None:
    waiting = asyncio.create_task(client.ask_async("POST", "services/echo/start?wait=60"))
    await observer.until_desired("running")
    others = await asyncio.wait_for(client.ask_async("GET", "services/echo"), PATIENCE_S)
    assert others.json["status"] == "starting", "nobody else waits"
    assert not waiting.done()
    await sync_to_async(observer.arrive)()
    answer = await asyncio.wait_for(waiting, PATIENCE_S)
    assert answer.status == 200
    assert answer.json["status"] == "running"
    assert answer.json["endpoint"] == others.json["endpoint"]


async def test_what_is_there_already_is_not_waited_for(client: Client, observer: Observer) -> None:
    answer = await asyncio.wait_for(
        client.ask_async("POST", "services/echo/stop?wait=60"), PATIENCE_S
    )
    assert (answer.status, answer.json["status"]) == (200, "stopped")


async def test_a_failure_ends_the_wait_and_is_shown(client: Client, observer: Observer) -> None:
    waiting = asyncio.create_task(client.ask_async("POST", "services/echo/start?wait=60"))
    await observer.until_desired("running")
    await sync_to_async(observer.say)(status="error", error_message="line 3: syntax error")
    answer = await asyncio.wait_for(waiting, PATIENCE_S)
    assert answer.status == 202
    assert (answer.json["status"], answer.json["error_message"]) == (
        "error",
        "line 3: syntax error",
    )


async def test_the_end_of_the_time_ends_the_wait(client: Client, observer: Observer) -> None:
    answer = await client.ask_async("POST", "services/echo/start?wait=1")
    assert (answer.status, answer.json["status"]) == (202, "starting")


async def test_who_unregisters_may_wait_until_it_is_gone(
    client: Client, observer: Observer
) -> None:
    waiting = asyncio.create_task(client.ask_async("DELETE", "services/echo?wait=60"))
    await observer.until_desired("gone")
    assert not waiting.done()
    await sync_to_async(observer.remove)()
    answer = await asyncio.wait_for(waiting, PATIENCE_S)
    assert (answer.status, answer.body) == (204, b"")


async def test_a_start_whose_service_is_gone_never_arrives(
    client: Client, observer: Observer
) -> None:
    waiting = asyncio.create_task(client.ask_async("POST", "services/echo/start?wait=60"))
    await observer.until_desired("running")
    await sync_to_async(observer.remove)()
    answer = await asyncio.wait_for(waiting, PATIENCE_S)
    assert (answer.status, answer.json["name"]) == (202, "echo")


async def test_only_so_many_wait_and_the_others_are_told_at_once(
    client: Client, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controlling, "waiting_room", WaitingRoom(places=0))
    answer = await asyncio.wait_for(
        client.ask_async("POST", "services/echo/stop?wait=60"), PATIENCE_S
    )
    assert answer.status == 202


async def test_a_place_is_free_again_after_a_wait(
    client: Client, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controlling, "waiting_room", WaitingRoom(places=1))
    for _ in range(3):
        answer = await client.ask_async("POST", "services/echo/stop?wait=60")
        assert answer.status == 200
