"""What is known of a service: its instances, health, log and counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.runtime.ids import new_id
from services.logs import logfiles
from services.models import HealthCheck, Instance, Service
from services.nodes import this_node
from services.rest.documents import CheckSerializer
from services.supervision import health
from services.supervision.failing import why_it_failed, why_it_is_given_up
from services.supervision.lifecycle import Cause
from services.telling import MARK, kept
from tests.services.measured import FIGURES, add_server

from .client import Client

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def launch(service: Service, slot: int | None = 0, age_s: float = 0, **facts: Any) -> Instance:
    """An instance; without a slot, one that has ended."""
    then = timezone.now() - timedelta(seconds=age_s)
    given = {
        "slot": slot or 0,
        "live_slot": slot,
        "state": "stopped" if slot is None else "running",
        "node": this_node(),
    }
    return Instance.objects.create(
        id=new_id(), service=service, generation=1, state_since=then, launched_at=then,
        **given | facts,
    )  # fmt: skip


def write_log(instance: Instance, *lines: str) -> None:
    path = logfiles.path_of(instance.service_id, instance.pk)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_the_root_names_what_there_is(client: Client) -> None:
    for path in ("/api/v1", "/api/v1/"):
        found = Client(host="localhost:8123").get(path).json
        assert found["services"] == "http://localhost:8123/api/v1/services"
        resources = {"services", "rules", "sessions", "traces", "connections", "tokens", "stats"}
        assert set(found) == resources | {"info", "schema", "docs"}


def test_a_service_is_where_the_site_was_found_whether_or_not_it_runs(
    client: Client, echo: Service
) -> None:
    for host in ("localhost:8000", "127.0.0.1:8123"):
        there = Client(host=host)
        endpoint = f"ws://{host}/services/echo/"
        assert there.get("services/echo").json["endpoint"] == endpoint
        assert there.get("services").json["items"][0]["endpoint"] == endpoint
    launch(echo)
    assert client.get("services/echo").json["endpoint"] == "ws://localhost:8000/services/echo/"
    (found,) = client.get("services/echo/instances").json["items"]
    assert found["endpoint"] == "ws://localhost:8000/services/echo/"
    assert (found["host"], found["port"]) == (this_node(), None)


def test_counts_are_those_of_the_servers(client: Client, echo: Service) -> None:
    for slot in range(2):
        launch(echo, slot, report={"sessions": 9})
    add_server({"echo": FIGURES})
    add_server({"echo": FIGURES, "gone": FIGURES})
    found = client.get("services/echo/stats").json
    assert (found["active_sessions"], found["running_turns"]) == (6, 2)
    assert (found["active_connections"], found["turn_p95_ms"]) == (8, 840.0)
    site = client.get("stats").json
    assert site["connections"] == {"total_connections": 12}
    assert (site["sessions"]["active"], site["sessions"]["running"]) == (9, 3)


def test_instances_that_live_are_listed_and_the_others_for_who_asks(
    client: Client, echo: Service
) -> None:
    ended = launch(echo, None, age_s=60, error="It fell over.")
    first, second = launch(echo, 0, age_s=30), launch(echo, 1)
    page = client.get("services/echo/instances").json
    assert [item["instance_id"] for item in page["items"]] == [second.pk, first.pk]
    assert (page["total"], page["limit"], page["offset"]) == (2, 50, 0)
    every = client.get("services/echo/instances?which=all&limit=2&offset=1").json
    assert [item["instance_id"] for item in every["items"]] == [first.pk, ended.pk]
    assert every["items"][1]["error"] == "It fell over."
    assert every["total"] == 3
    answer = client.get("services/echo/instances?which=none")
    assert (answer.status, answer.json["field"]) == (400, "which")


def test_health_is_the_instances_and_the_last_checks(client: Client, echo: Service) -> None:
    instance = launch(echo, misses=1)
    now = timezone.now()
    for number in range(30):
        HealthCheck.objects.create(
            service=echo, instance=instance, checked_at=now - timedelta(seconds=number),
            is_healthy=number % 2 == 0, detail="" if number % 2 == 0 else "It did not answer.",
        )  # fmt: skip
    found = client.get("services/echo/health").json
    assert found["summary"]["degraded"] == found["summary"]["total"] == 1
    assert found["instances"][0]["health"] == found["status"] == "degraded"
    assert found["service_status"] == echo.status
    assert len(found["checks"]) == 20
    assert [check["is_healthy"] for check in found["checks"][:2]] == [True, False]
    assert len(client.get("services/echo/health?limit=3").json["checks"]) == 3


def test_what_went_wrong_is_said_in_the_language_that_is_asked_for(
    client: Client, echo: Service
) -> None:
    Service.objects.filter(pk=echo.pk).update(error_message=kept(health.LAST_FAILED))
    launch(echo, error=kept(health.TOO_LATE))
    checked = {"service": echo, "checked_at": timezone.now(), "is_healthy": False}
    HealthCheck.objects.create(detail=kept(health.UNCHECKED), **checked)
    for language, service, instance, check in (
        (
            "en",
            "Its last checks failed.",
            "It did not answer in time.",
            "It could not be checked.",
        ),
        ("zh-CN", "最近几次检查未通过。", "未在规定时间内响应。", "无法进行检查。"),
    ):
        asked = {"accept_language": language}
        assert client.get("services/echo", **asked).json["error_message"] == service
        [found] = client.get("services/echo/instances", **asked).json["items"]
        assert found["error"] == instance
        [found] = client.get("services/echo/health", **asked).json["checks"]
        assert found["detail"] == check


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (
            {},
            "It failed 3 times in a row and is not started again. The last time: "
            "Its process ended by itself with status 7.\nThe last lines of its log:\n"
            "最后一行",
        ),
        (
            {"accept_language": "zh"},
            "已连续失败 3 次，不再重新启动。最后一次：其进程自行结束，退出状态为 7。\n"
            "其日志的最后几行：\n最后一行",
        ),
    ],
)
def test_giving_up_is_said_in_the_language_that_is_asked_for_and_in_english_to_others(
    client: Client, echo: Service, asked: dict[str, str], sentence: str
) -> None:
    last = why_it_failed(Instance(), Cause.CRASH, 7, ["最后一行"])
    error = why_it_is_given_up(3, last, restarts=True)
    Service.objects.filter(pk=echo.pk).update(status="error", error_message=error)
    assert client.get("services/echo", **asked).json["error_message"] == sentence
    [listed] = client.get("services", **asked).json["items"]
    assert listed["error_message"] == sentence


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("It was stored before: {x}", "It was stored before: {x}"),
        (f'{MARK}[["It fell {{n}} times.", {{}}]]', "It fell {n} times."),
        (f'{MARK}[["{{a:c}} {{a}}", {{"a": 10000000000}}]]', "{a:c} 10000000000"),
        (f'{MARK}[["It', '[["It'),
    ],
)
def test_a_row_of_another_version_is_shown_as_far_as_it_is_understood(
    client: Client, echo: Service, stored: str, said: str
) -> None:
    Service.objects.filter(pk=echo.pk).update(error_message=stored)
    launch(echo, error=stored)
    for language in ("en", "zh"):
        asked = {"accept_language": language}
        assert client.get("services/echo", **asked).json["error_message"] == said
        [found] = client.get("services/echo/instances", **asked).json["items"]
        assert found["error"] == said


def test_the_checks_of_a_service_elsewhere_are_of_no_instance(
    client: Client, external: Service
) -> None:
    HealthCheck.objects.create(service=external, checked_at=timezone.now(), is_healthy=True)
    [check] = client.get("services/billing/health").json["checks"]
    assert check["instance_id"] is None
    assert CheckSerializer().fields["instance_id"].allow_null


@pytest.mark.parametrize("limit", ["0", "501", "-1", "x", "1e2", "9" * 30])
def test_a_limit_that_makes_no_sense_is_refused(client: Client, echo: Service, limit: str) -> None:
    answer = client.get(f"services/echo/health?limit={limit}")
    assert (answer.status, answer.json["field"]) == (400, "limit")


@pytest.mark.parametrize("place", ["health", "logs", "instances"])
def test_a_parameter_that_nobody_reads_is_refused(
    client: Client, echo: Service, place: str
) -> None:
    answer = client.get(f"services/echo/{place}?lines=5")
    assert (answer.status, answer.code, answer.json["field"]) == (400, "invalid", "lines")
    assert client.get("services/echo/instances?which=all&limit=5&offset=0").status == 200


def test_the_log_is_that_of_the_newest_instance(client: Client, echo: Service) -> None:
    older, newer = launch(echo, 0, age_s=10), launch(echo, 1)
    write_log(older, "old")
    write_log(newer, *(f"line {number}" for number in range(200)), "<b>天气\x1b[31m")
    found = client.get("services/echo/logs").json
    assert found["instance_id"] == newer.pk
    assert len(found["lines"]) == 100 and found["lines"][-1] == "<b>天气\x1b[31m"
    assert client.get("services/echo/logs?tail=1").json["lines"] == ["<b>天气\x1b[31m"]
    assert client.get(f"services/echo/logs?instance={older.pk}").json["lines"] == ["old"]


def test_a_service_that_was_never_started_has_no_log(client: Client, echo: Service) -> None:
    found = client.get("services/echo/logs").json
    assert found == {"service_id": echo.pk, "instance_id": None, "lines": []}


@pytest.mark.parametrize("tail", ["0", "5001", "-5", "all", "9" * 30])
def test_a_log_is_not_read_without_end(client: Client, echo: Service, tail: str) -> None:
    answer = client.get(f"services/echo/logs?tail={tail}")
    assert (answer.status, answer.json["field"]) == (400, "tail")


@pytest.mark.parametrize("instance", ["..", "../../x", "none", "%00", "x" * 40])
def test_the_log_of_another_file_can_not_be_asked_for(
    client: Client, echo: Service, instance: str
) -> None:
    answer = client.get(f"services/echo/logs?instance={instance}")
    assert (answer.status, answer.code) in ((404, "unknown_instance"), (400, "invalid"))


def test_the_log_of_another_service_can_not_be_asked_for(
    client: Client, echo: Service, external: Service
) -> None:
    instance = launch(echo)
    write_log(instance, "private")
    answer = client.get(f"services/billing/logs?instance={instance.pk}")
    assert (answer.status, answer.code) == (404, "unknown_instance")


def test_a_log_on_another_machine_is_said_to_be_there(client: Client, echo: Service) -> None:
    launch(echo, node="elsewhere")
    answer = client.get("services/echo/logs")
    assert (answer.status, answer.code) == (409, "log_elsewhere")
    assert "elsewhere" in answer.json["detail"]


def test_a_service_and_the_site_are_counted(client: Client, echo: Service) -> None:
    launch(echo, memory_mb=80.5)
    own = client.get("services/echo/stats").json
    assert (own["instances"], own["memory_mb"]) == (1, 80.5)
    whole = client.get("stats").json
    assert set(whole) == {"services", "connections", "sessions", "health"}
    assert whole["services"]["total"] == 1
    assert whole["health"]["healthy"] == 1
    assert whole["connections"]["total_connections"] == 0


def test_the_site_says_what_it_is(client: Client) -> None:
    info = client.get("info").json
    assert (info["name"], info["api_version"], info["auth"]) == ("MyAgent Site", "v1", "open")
    assert info["version"]
