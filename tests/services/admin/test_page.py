"""The page of a service: its instances, its checks, and the end of a log that does nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from myagent.sentence import Said
from services.admin.observed import LINE_LENGTH, LOG_LINES, readable
from services.logs.logfiles import path_of
from services.models import HealthCheck, Instance, Service
from services.supervision import health
from services.supervision.failing import why_it_is_given_up
from services.telling import kept
from tests.services.measured import add_server

from .conftest import MakeInstance, MakeService, Person
from .reading import page_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def write_log(service: Service, instance: Instance, text: str) -> None:
    path = path_of(service.pk, instance.pk)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_query_of_an_address_is_for_those_who_may_change_it(
    person: Person, make_service: MakeService
) -> None:
    far = make_service("far", url="wss://far.example/?key=hidden")
    viewer = person("view_service")
    editor = person("view_service", "change_service", name="eve")
    for client, is_seen in ((viewer, False), (editor, True)):
        page = client.get(page_of(far)).content.decode()
        assert "wss://far.example/?key=" in page
        assert ("key=hidden" in page) is is_seen
    assert "key=hidden" not in viewer.get("/admin/services/service/").content.decode()


def observed(client: Client, service: Service, log: str = "") -> str:
    response = client.get(page_of(service, "observed"), {"log": log} if log else {})
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.usefixtures("var_dir")
def test_instances_are_shown_with_all_that_is_known_of_them(
    chief: Client, make_service: MakeService, make_instance: MakeInstance
) -> None:
    service = make_service()
    make_instance(service, 0, sessions=73, pid=4711, memory_mb=81.6, cpu_percent=12.0)
    failed = {"state": Instance.State.ERROR, "live_slot": None, "error": "It fell over.\nBadly."}
    make_instance(service, 1, **failed)
    for text in (observed(chief, service), chief.get(page_of(service)).content.decode()):
        for shown in ("4711", "<td>73</td>", "82 MB", "12 %", "2 ms", "It fell over.\nBadly."):
            assert shown in text


@pytest.mark.usefixtures("var_dir")
def test_the_page_leads_to_the_chat(chief: Client, make_service: MakeService) -> None:
    assert 'href="/services/weather/"' in observed(chief, make_service())
    far = make_service("far", url="wss://far.example/ws")
    assert 'href="https://far.example/"' in observed(chief, far)


@pytest.mark.usefixtures("var_dir")
def test_the_page_says_why_the_service_has_no_port_of_its_own(
    chief: Client, make_service: MakeService
) -> None:
    why = kept(Said("Port {port} needs more rights; choose one above 1023.", {"port": 80}))
    add_server(report={"own_ports": {"weather": why}})
    assert "Port 80 needs more rights" in observed(chief, make_service(port=80))


@pytest.mark.usefixtures("var_dir")
def test_the_last_checks_are_shown(
    chief: Client, make_service: MakeService, make_instance: MakeInstance
) -> None:
    service = make_service()
    instance = make_instance(service)
    both = {"service": service, "instance": instance, "checked_at": timezone.now()}
    HealthCheck.objects.create(is_healthy=True, latency_ms=3.4, **both)
    HealthCheck.objects.create(is_healthy=False, detail="No <b>greeting</b>", **both)
    text = observed(chief, service)
    assert "3 ms" in text
    assert "No &lt;b&gt;greeting&lt;/b&gt;" in text


@pytest.mark.usefixtures("var_dir")
def test_what_went_wrong_is_said_in_the_language_of_the_page(
    chief: Client, make_service: MakeService, make_instance: MakeInstance
) -> None:
    ended = kept(Said("Its process ended by itself with status {status}.", {"status": 7}))
    given_up = why_it_is_given_up(3, ended, restarts=True)
    service = make_service(status="error", error_message=given_up)
    both = {"service": service, "instance": make_instance(service), "checked_at": timezone.now()}
    HealthCheck.objects.create(is_healthy=False, detail=kept(health.TOO_LATE), **both)
    text = observed(chief, service)
    assert "The last time: Its process ended by itself with status 7." in text
    assert "It did not answer in time." in text
    text = chief.get(page_of(service), headers={"accept-language": "zh-CN"}).content.decode()
    assert "已连续失败 3 次，不再重新启动。最后一次：其进程自行结束，退出状态为 7。" in text
    assert "未在规定时间内响应。" in text


@pytest.mark.usefixtures("var_dir")
def test_the_end_of_the_log_is_shown_and_does_nothing(
    chief: Client, make_service: MakeService, make_instance: MakeInstance
) -> None:
    service = make_service()
    instance = make_instance(service)
    lines = [f"line {number}\n" for number in range(1000)]
    evil = "\x1b[31mred\x1b[0m <script>x</script> \x1b]0;title\x07你好\n"
    write_log(service, instance, "".join(lines) + evil)
    text = observed(chief, service)
    assert "red &lt;script&gt;x&lt;/script&gt; 你好" in text
    assert "\x1b" not in text
    assert "title" not in text
    assert "line 999" in text
    assert f"line {1000 - LOG_LINES}\n" not in text


@pytest.mark.usefixtures("var_dir")
def test_the_log_of_any_instance_can_be_chosen(
    chief: Client, make_service: MakeService, make_instance: MakeInstance
) -> None:
    service = make_service()
    first, second = make_instance(service, 0), make_instance(service, 1)
    write_log(service, first, "from the first")
    write_log(service, second, "from the second")
    assert "from the first" in observed(chief, service)
    assert "from the second" in observed(chief, service, log=second.pk)


def test_no_other_file_can_be_read_as_a_log(
    chief: Client, make_service: MakeService, make_instance: MakeInstance, var_dir: Path
) -> None:
    service, other = make_service(), make_service("other")
    make_instance(service)
    write_log(other, make_instance(other), "of another service")
    (var_dir / "secret_key").write_text("the key")
    for log in ("../../secret_key", str(var_dir / "secret_key"), other.instances.get().pk, "\0"):
        text = observed(chief, service, log=log)
        assert "the key" not in text
        assert "of another service" not in text


@pytest.mark.usefixtures("var_dir")
def test_a_log_on_another_machine_is_said_to_be_there(
    chief: Client, make_service: MakeService, make_instance: MakeInstance
) -> None:
    service = make_service()
    make_instance(service, node="far")
    assert "This instance ran on far: its log is there." in observed(chief, service)


def test_a_page_of_a_service_that_is_gone_is_not_found(chief: Client) -> None:
    assert chief.get("/admin/services/service/gone/observed/").status_code == 404


@pytest.mark.usefixtures("var_dir")
def test_times_are_those_of_the_persons_clock(chief: Client, make_service: MakeService) -> None:
    service = make_service()
    at = datetime(2026, 1, 2, 20, 30, tzinfo=UTC)
    Service.objects.filter(pk=service.pk).update(last_health_check=at)
    assert "2026-01-02 20:30:00 UTC" in observed(chief, service)
    chief.cookies["myagent_timezone"] = "Asia/Shanghai"
    assert "2026-01-03 04:30:00 CST" in observed(chief, service)
    for nonsense in ("Nowhere/City", "../../etc/passwd", "x" * 5000, ""):
        chief.cookies["myagent_timezone"] = nonsense
        assert "2026-01-02 20:30:00 UTC" in observed(chief, service)


@given(st.text())
def test_no_line_holds_controls_or_is_too_long(text: str) -> None:
    shown = readable(text)
    assert len(shown) <= LINE_LENGTH + 1
    assert not any(ord(each) < 0x20 and each not in "\t\n" for each in shown)
    assert not any(each in shown for each in "\x1b\x7f\x9b\u202e\u2066")


@pytest.mark.parametrize(
    "sequence", ["\x1b[1;31m", "\x1b[2K", "\x9b31m", "\x1b]8;;http://x\x1b\\", "\x1b(B", "\x1bM"]
)
def test_escape_sequences_leave_nothing_behind(sequence: str) -> None:
    assert readable(f"a{sequence}b") == "ab"


def test_a_very_long_line_is_cut() -> None:
    assert readable("x" * 100_000) == "x" * LINE_LENGTH + "…"
