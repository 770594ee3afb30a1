"""`manage.py services`: what is typed, and what is answered, without a process."""

from __future__ import annotations

import io
import json
import socket
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db.models import QuerySet
from django.utils import timezone

from services import doorbell
from services.catalogue import registry, secrets
from services.cli import acting
from services.models import HealthCheck, Instance, Service
from services.supervision import supervisor_lease
from services.supervision.one_worker import machines_of_the_site
from tests.services import rows
from tests.services.measured import add_server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def var_dir(tmp_path: Path, settings: LazySettings) -> Path:
    settings.VAR_DIR = tmp_path
    return tmp_path


@pytest.fixture
def agent_file(tmp_path: Path) -> str:
    path = tmp_path / "agent.py"
    path.write_text("async def agent(text):\n    yield text\n")
    return str(path)


@pytest.fixture
def idle_supervisor() -> Iterator[None]:
    """One that holds the lease and does nothing."""
    epoch = supervisor_lease.take(is_automatic=False)
    assert epoch is not None
    yield
    supervisor_lease.release(epoch)


def services(*arguments: object) -> str:
    output = io.StringIO()
    call_command("services", *map(str, arguments), stdout=output)
    return output.getvalue()


def refusal(*arguments: object) -> str:
    """The sentence for which the command ends with status 1."""
    with pytest.raises(CommandError) as caught:
        services(*arguments)
    assert caught.value.returncode == 1
    return str(caught.value)


def listed(*arguments: object) -> list[str]:
    return [found["name"] for found in json.loads(services("list", "--json", *arguments))]


# Registering.


def test_options_may_be_typed_between_the_name_and_the_file(agent_file: str) -> None:
    services("register", "weather", "--weight", 7, agent_file, "--tags", "a")
    service = registry.find("weather")
    assert (service.agent_factory_path, service.weight, service.tags) == (agent_file, 7, ["a"])


@pytest.mark.parametrize("where", [1, 2, 3])
def test_an_option_that_there_is_not_is_no_file(
    agent_file: str, where: int, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ["register", "weather", agent_file]
    typed[where:where] = ["--wieght", "7"]
    with pytest.raises(CommandError, match="unrecognized arguments: --wieght"):
        services(*typed)
    assert not Service.objects.exists()


@pytest.mark.both_databases
def test_every_option_of_register_is_kept(agent_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_HERE", "here")
    answer = services(
        *("register", "weather", agent_file, "--host", "127.0.0.1", "--port", 8181),
        *("--description", "天气", "--tags", "b, a,,b", "--max-sessions", 3, "--weight", 7),
        *("--session-timeout", 60.5, "--no-auto-restart", "--max-restart-count", 2),
        *("--restart-delay", 0.5, "--replicas", 2, "--memory-limit-mb", 256),
        *("--python", sys.executable, "--env", "KEY=a=b", "--env", "EMPTY=", "--env", "FROM_HERE"),
    )
    service = registry.find("weather")
    assert answer == f"weather is registered ({service.pk}).\n"
    assert (service.agent_factory_path, service.host, service.port) == (
        agent_file,
        "127.0.0.1",
        8181,
    )
    assert (service.description, service.tags, service.weight) == ("天气", ["a", "b"], 7)
    assert (service.max_sessions, service.session_timeout_s) == (3, 60.5)
    assert (service.auto_restart, service.max_restart_count) == (False, 2)
    assert (service.restart_delay_s, service.replicas) == (0.5, 2)
    assert (service.memory_limit_mb, service.auto_start) == (256, False)
    assert service.python == sys.executable
    assert secrets.decrypt(service.environment) == {
        "KEY": "a=b",
        "EMPTY": "",
        "FROM_HERE": "here",
    }
    assert service.desired == Service.Desired.STOPPED


def test_a_service_that_runs_elsewhere_is_registered_by_its_address() -> None:
    services("register", "far", "--url", rows.EXTERNAL)
    assert registry.find("far").url == rows.EXTERNAL
    assert "runs elsewhere" in refusal("restart", "far")
    assert services("stop", "far") == "far takes no clients from here any more.\n"
    assert registry.find("far").status == Service.Status.STOPPED
    assert services("start", "far") == "far takes clients again.\n"
    assert "runs elsewhere" in refusal("logs", "far")
    assert services("unregister", "far") == "far is unregistered.\n"
    assert not Service.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a b", "FILE"], "'a b' can't be a name"),
        (["\x1b[31m", "FILE"], "can't be a name"),
        (["a" * 101, "FILE"], "can't be a name"),
        (["half\udcff", "FILE"], "can't be a name"),
        (["x", "no.py"], "There is no file "),
        (["x", "half\udcff.py"], "That can't be the path"),
        (["x"], "Give either an agent file"),
        (["x", "FILE", "--url", rows.EXTERNAL], "Give either an agent file"),
        (["x", "--url", "http://localhost/"], "must be a ws:// or wss:// URL"),
        (["x", "--url", "ws://ada:hush@far.example/"], "leave the name and password out"),
        (["x", "FILE", "--port", "0"], "port must be between 1 and 65535"),
        (["x", "FILE", "--port", "9" * 30], "port must be between"),
        (["x", "FILE", "--session-timeout", "nan"], "session_timeout_s must be between"),
        (["x", "FILE", "--restart-delay", "inf"], "restart_delay_s must be between"),
        (["x", "FILE", "--replicas", "0"], "replicas must be between"),
        (["x", "FILE", "--tags", "a b"], "'a b' can't be a tag"),
        (["x", "FILE", "--host", "a/b"], "The host must be"),
        (["x", "FILE", "--host", "a..b"], "The host must be"),
        (["x", "FILE", "--host", "x" * 64], "The host must be"),
        (["x", "FILE", "--host", "1.2.3"], "The host must be"),
        (["x", "FILE", "--host", "300.1.1.1"], "The host must be"),
        (["x", "FILE", "--host", "::g"], "The host must be"),
        (["x", "FILE", "--host", "localhost:8080"], "The host must be"),
        (["x", "FILE", "--env", "A B=1"], "'A B' can't be an environment variable"),
        (["x", "FILE", "--env", "A=\udcff"], "'A' can't be an environment variable"),
        (["x", "FILE", "--description", "half\udcff"], "The description must be text"),
        (["x", "FILE", "--description", "x" * 10_001], "The description must be text"),
    ],
)
def test_what_can_not_be_registered_is_said_in_a_sentence(
    arguments: list[str], sentence: str, agent_file: str
) -> None:
    given = [agent_file if argument == "FILE" else argument for argument in arguments]
    told = refusal("register", *given)
    assert sentence in told
    assert told.endswith(".")
    assert "\x1b" not in told
    assert not Service.objects.exists()


def test_a_name_is_given_once(agent_file: str) -> None:
    services("register", "one", agent_file)
    assert refusal("register", "one", agent_file).startswith("There is a service 'one' already")


def quick_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is changed of a service is followed at once by its end."""

    def change(found: QuerySet[Service], **changes: Any) -> int:
        done = doorbell_change(found, **changes)
        found.model.objects.all().delete()
        return done

    doorbell_change = doorbell.change
    monkeypatch.setattr(doorbell, "change", change)


@pytest.mark.parametrize("options", [(), ("--no-wait",)])
def test_one_that_is_gone_at_once_is_unregistered_though_nobody_supervises_any_more(
    options: tuple[str, ...], agent_file: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MYAGENT_SUPERVISOR = "external"
    services("register", "one", agent_file)
    quick_supervisor(monkeypatch)
    assert services("unregister", "one", *options).endswith("one is unregistered.\n")


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
@pytest.mark.parametrize("options", [(), ("--no-wait",)])
def test_one_that_is_unregistered_in_that_moment_is_said_to_be(
    options: tuple[str, ...],
    verb: str,
    agent_file: str,
    idle_supervisor: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services("register", "one", agent_file, "--auto-start", "--no-wait")
    quick_supervisor(monkeypatch)
    assert "unregistered" in refusal(verb, "one", *options)


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "unregister", "status", "stats"])
@pytest.mark.parametrize("name", ["nobody", "", "half\udcff", "x" * 10_000, "\x1b[31m", "%"])
def test_a_name_that_nobody_has_is_said_in_a_sentence(verb: str, name: str) -> None:
    told = refusal(verb, name)
    assert told.startswith("There is no service ")
    assert "\x1b" not in told


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["juggle"],
        ["start"],
        ["register", "x", "f", "--port", "many"],
        ["register", "x", "f", "--env", "NOT_SET_ANYWHERE"],
        ["start", "x", "--timeout", "-1"],
        ["start", "x", "--timeout", "nan"],
        ["list", "--status", "weird"],
        ["logs", "x", "-n", "-5"],
    ],
)
def test_wrong_usage_is_told_from_refusal(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match=r"^Error: "):
        services(*arguments)


# Looking.


@pytest.mark.both_databases
def test_services_are_listed_by_status_and_by_all_of_their_tags() -> None:
    rows.service("b", tags=["zh", "vip"])
    rows.service("a", tags=["zh"])
    rows.service("c", Service.Status.STOPPED, tags=["zh", "vip"])
    assert listed() == ["a", "b", "c"]
    assert listed("--status", "running") == ["a", "b"]
    assert listed("--tags", "zh,vip") == ["b", "c"]
    assert listed("--tags", "vip", "--tags", "zh", "--status", "running") == ["b"]
    assert listed("--tags", "nobody") == []


def test_a_list_in_a_pipe_is_a_line_a_service() -> None:
    rows.instance(rows.service("weather", tags=["demo", "en"], replicas=2))
    rows.service("bad", Service.Status.ERROR, error_message="It \x1b[31mfailed.\nMore")
    rows.service("far", url=rows.EXTERNAL, agent_factory_path="")
    head, *lines = services("list").splitlines()
    assert head.split("\t")[:3] == ["name", "status", "processes"]
    assert lines == [
        "bad\terror\t0/1\t-\t-\tIt failed. More",
        "far\trunning\telsewhere\t-\t-\t-",
        "weather\trunning\t1/2\t-\tdemo, en\t-",
    ]


@pytest.mark.both_databases
@pytest.mark.parametrize(("external", "command"), [("auto", "serve"), ("external", "supervise")])
def test_a_list_says_what_starts_with_the_next_serve(
    settings: LazySettings, external: str, command: str
) -> None:
    settings.MYAGENT_SUPERVISOR = external
    rows.service("away", Service.Status.STOPPED, desired="running")
    rows.service("done", Service.Status.STOPPED, desired="stopped")

    def statuses() -> list[str]:
        return [line.split("\t")[1] for line in services("list").splitlines()[1:]]

    assert statuses() == [f"stopped (starts with the next {command})", "stopped"]
    found = json.loads(services("list", "--json"))
    assert [(one["status"], one["desired"]) for one in found] == [
        ("stopped", "running"),
        ("stopped", "stopped"),
    ]
    epoch = supervisor_lease.take(is_automatic=False)
    assert epoch is not None
    assert statuses() == ["stopped", "stopped"]
    supervisor_lease.release(epoch)


@pytest.mark.both_databases
def test_a_service_is_at_the_server_that_lives() -> None:
    rows.service("天气", Service.Status.STOPPED)
    assert json.loads(services("list", "--json"))[0]["endpoint"] == ""
    add_server(address="ws://localhost:8123/")
    endpoint = "ws://localhost:8123/services/%E5%A4%A9%E6%B0%94/"
    assert json.loads(services("list", "--json"))[0]["endpoint"] == endpoint
    assert endpoint in services("status", "天气")


def test_a_list_takes_as_many_queries_for_many_services(
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(20):
        rows.instance(rows.service(f"s{number}"))
    with django_assert_max_num_queries(10):
        services("list")


def test_a_service_is_found_by_name_and_by_id_and_shows_its_processes() -> None:
    service = rows.service("weather", max_sessions=5)
    instance = rows.instance(service)
    found = json.loads(services("status", "weather", "--json"))
    assert found == json.loads(services("status", service.pk, "--json"))
    assert found["config"]["max_sessions"] == 5
    assert [(one["instance_id"], one["pid"]) for one in found["instances"]] == [(instance.pk, 4000)]
    assert instance.pk.rpartition("-")[2] in services("status", "weather")


def test_the_environment_of_a_service_is_never_shown(agent_file: str) -> None:
    services("register", "x", agent_file, "--env", "KEY=hush-hush")
    shown = [services(verb, "x") for verb in ("status", "stats", "health")]
    shown += [services("status", "x", "--json"), services("list", "--json")]
    assert "hush-hush" not in "".join(shown)


@pytest.mark.both_databases
def test_figures_are_told_of_one_service_and_of_all() -> None:
    rows.instance(rows.service("weather"))
    one = json.loads(services("stats", "weather", "--json"))
    assert (one["name"], one["instances"]) == ("weather", 1)
    everything = json.loads(services("stats", "--json"))
    assert everything["services"]["running"] == 1
    assert "services.running\t1\n" in services("stats")


def test_health_shows_the_checks_of_a_service_elsewhere() -> None:
    far = rows.service("far", url=rows.EXTERNAL, agent_factory_path="")
    HealthCheck.objects.create(
        service=far, checked_at=timezone.now(), is_healthy=False, detail="It did not answer."
    )
    checked, instance, *_ = services("health", "far").splitlines()[-1].split("\t")
    assert checked.startswith("20") and instance == "-"


def test_health_shows_the_last_checks_newest_first() -> None:
    service = rows.service("weather")
    instance = rows.instance(service, Instance.State.UNHEALTHY, misses=3)
    for detail in ("", "It did not answer."):
        HealthCheck.objects.create(
            service=service,
            instance=instance,
            checked_at=timezone.now(),
            is_healthy=not detail,
            detail=detail,
        )
    found = json.loads(services("health", "weather", "--json"))
    assert [one["health"] for one in found["instances"]] == ["unhealthy"]
    assert [check["is_healthy"] for check in found["checks"]] == [False, True]
    assert "It did not answer." in services("health", "weather")


# Logs.


def test_the_last_lines_of_a_log_are_shown_and_not_obeyed() -> None:
    instance = rows.instance(rows.service("weather"))
    rows.write_log(instance, "one", "two", "\x1b]0;owned\x07[bold]three")
    assert services("logs", "weather", "-n", 2) == "two\n[bold]three\n"


def test_as_many_lines_are_shown_as_were_asked_for() -> None:
    instance = rows.instance(rows.service("weather"))
    written = [f"{number:06} {'x' * 60}" for number in range(40_000)]
    rows.write_log(instance, *written)
    assert services("logs", "weather", "-n", 39_999).splitlines() == written[1:]


def test_logs_of_several_processes_have_heads() -> None:
    service = rows.service("weather", replicas=2)
    first, second = (rows.instance(service, slot=slot) for slot in (0, 1))
    rows.write_log(first, "one")
    rows.write_log(second, "two")
    heads = [f"==> {one.pk.rpartition('-')[2]} (slot {one.slot}) <==" for one in (first, second)]
    assert services("logs", "weather") == f"{heads[0]}\none\n\n{heads[1]}\ntwo\n"
    assert services("logs", "weather", "--instance", second.pk) == "two\n"
    assert services("logs", "weather", "--instance", second.pk.rpartition("-")[2]) == "two\n"


def test_the_log_of_the_last_failure_is_shown_while_nothing_serves() -> None:
    service = rows.service("weather", Service.Status.STARTING)
    failed = rows.instance(service, Instance.State.ERROR)
    rows.write_log(failed, "It went wrong.")
    rows.instance(service, Instance.State.STARTING)
    assert services("logs", "weather").endswith("It went wrong.\n")


@pytest.mark.parametrize("given", ["nobody", "../../etc/passwd", "half\udcff", "%", "-"])
def test_a_process_that_is_not_the_service_s_has_no_log(given: str) -> None:
    rows.instance(rows.service("weather"))
    assert refusal("logs", "weather", f"--instance={given}").startswith("weather has no process")


def test_a_service_that_never_ran_has_no_log() -> None:
    rows.service("weather", Service.Status.STOPPED)
    assert refusal("logs", "weather") == "weather has not been started yet."


def test_who_follows_a_service_that_never_ran_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    rows.service("weather", Service.Status.STOPPED)
    monkeypatch.setattr("services.cli.logs.INSTANCES_LOOK_S", 0.0)
    # Following ends with the service.
    clock = SimpleNamespace(
        monotonic=time.monotonic, sleep=lambda _: Service.objects.all().delete()
    )
    monkeypatch.setattr("services.cli.logs.time", clock)
    assert services("logs", "weather", "-f") == "weather has not been started yet.\n"


def test_the_log_of_another_machine_is_not_missed_in_silence() -> None:
    rows.instance(rows.service("weather"), node="elsewhere")
    assert refusal("logs", "weather") == "Its log is on another machine: elsewhere."


# Workers beside the replicas, and those that have ended.


def test_a_worker_that_is_no_replica_is_counted_apart() -> None:
    service = rows.service("weather", replicas=2)
    rows.instance(service)
    rows.instance(service, slot=1, kept_by="here/1")
    assert services("list").splitlines()[1].split("\t")[2] == "1/2 +1"
    assert "here/1" in services("status", "weather")


def test_the_status_names_what_ended_last_and_why() -> None:
    service = rows.service("weather")
    for number in range(5):
        ended_at = timezone.now() + timedelta(seconds=number)
        rows.instance(service, Instance.State.ERROR, ended_at=ended_at, error=f"Reason {number}.")
    shown = services("status", "weather")
    assert [f"Reason {number}." in shown for number in range(5)] == [False, False, True, True, True]
    ended = json.loads(services("status", "weather", "--json"))["ended"]
    assert [one["error"] for one in ended] == ["Reason 4.", "Reason 3.", "Reason 2."]


def test_a_machine_that_no_server_of_the_site_is_on_is_noticed() -> None:
    add_server(host="far")
    assert machines_of_the_site() == ["far"]
    add_server(host=socket.gethostname())
    assert machines_of_the_site() == []


# Waiting.


@pytest.mark.usefixtures("idle_supervisor")
def test_what_does_not_happen_in_time_is_a_failure_that_tells_how_it_is() -> None:
    service = rows.service("weather", Service.Status.STOPPED)
    rows.write_log(rows.instance(service, Instance.State.ERROR), "a line", "\x1b[31mthe last")
    told = refusal("start", "weather", "--timeout", 0.3)
    assert told.startswith("weather has not got there after 0.3 seconds: starting.")
    assert told.endswith("The last lines of its log:\n  a line\n  the last")


def test_the_last_lines_of_the_log_are_told_once_though_the_error_has_them_too() -> None:
    error = "It was killed.\nThe last lines of its log:\na line\nthe last"
    service = rows.service("weather", Service.Status.ERROR, error_message=error)
    ended = rows.instance(service, Instance.State.ERROR)
    rows.write_log(ended, "before", "a line", "the last")
    said = "It was killed.\nThe last lines of its log:\n  before\n  a line\n  the last"
    assert acting.why(service) == said
    rows.write_log(ended, "of a later start")
    told = acting.why(service)
    assert told.startswith(error)
    assert told.endswith("The last lines of its log:\n  of a later start")


@pytest.mark.usefixtures("idle_supervisor")
def test_without_waiting_it_is_only_asked_for() -> None:
    rows.service("weather", Service.Status.STOPPED)
    assert services("start", "weather", "--no-wait") == ""
    assert registry.find("weather").desired == Service.Desired.RUNNING


@pytest.mark.usefixtures("idle_supervisor")
def test_stopping_what_is_stopped_is_done_at_once() -> None:
    rows.service("weather", Service.Status.STOPPED)
    assert services("stop", "weather") == "weather is stopped.\n"


@pytest.mark.both_databases
def test_nothing_is_said_to_run_when_nobody_sees_to_it(settings: LazySettings) -> None:
    settings.MYAGENT_SUPERVISOR = "external"
    rows.service("weather", Service.Status.STOPPED)
    assert "manage.py supervise" in refusal("start", "weather")
