"""What is wrong with the facts of a site is named, and nothing is found where nothing is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from myagent.sentence import Said
from services.doctor import (
    configuration,
    database,
    machine,
    names,
    one_site,
    processes,
    redis_server,
    registering,
    reporting,
    service_files,
    settings_file,
)
from services.doctor.configuration import Configuration, is_host, is_origin, weakness_of
from services.doctor.database import Migrations, MysqlServer, SqliteFile
from services.doctor.finding import Finding, Level
from services.doctor.machine import Disk, Files
from services.doctor.one_site import Registered
from services.doctor.processes import Chores, ServerFacts
from services.doctor.registering import Folder, what_it_reaches
from services.doctor.reporting import LogFile, MetricsPort, Receiver
from services.doctor.service_files import AgentFile, Interpreter, ServiceFacts
from services.doctor.settings_file import SettingsFile
from services.roll_call import Present
from services.telling import tell

KEY = "qmCwcQvYEI6oFh0hYl8cGq2v4m0Jw1c1Yx8vXh3d0mM2uN9pLkT7sRzA5bE"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)

GOOD = Configuration(
    secret_key=KEY,
    fallback_keys=(),
    key_file="var/secret_key",
    key_file_mode=0o600,
    is_debug=False,
    hosts=["agents.example.com"],
    origins=["https://app.example.com", "null", "http://localhost:3000"],
    trusted_proxies=["10.0.0.0/8"],
    is_open=False,
)
MYSQL = MysqlServer(
    version="10.11.19-MariaDB",
    charset="utf8mb4",
    collation="utf8mb4_general_ci",
    isolation="READ-COMMITTED",
    sql_mode="STRICT_TRANS_TABLES",
    time_zone="+00:00",
    commits_itself=True,
    packet_mb=16,
    is_read_only=False,
    write_failure="",
    flushes=1,
    odd_tables=(),
)
SQLITE = SqliteFile("site.db", 0o600, "3.40.1", "wal", "")
SERVICE = ServiceFacts("weather", AgentFile("weather.py"), Interpreter("/usr/bin/python3"))


def faults(findings: object) -> list[tuple[str, str]]:
    """Checks and levels of what is not as it should be; all of it says what to do."""
    found = [each for each in findings if each.level != Level.OK]  # type: ignore[attr-defined]
    assert all(isinstance(each, Finding) and each.advice is not None for each in found)
    assert "{" not in "".join(tell(each.fact) + tell(each.advice) for each in found)
    return [(each.check, str(each.level)) for each in found]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"secret_key": "changeme"}, ("secret_key", "problem")),
        ({"secret_key": "ab" * 40}, ("secret_key", "problem")),
        ({"secret_key": f"django-insecure-{KEY}"}, ("secret_key", "problem")),
        ({"key_file_mode": 0o100644}, ("secret_key", "problem")),
        ({"fallback_keys": [KEY]}, ("secret_key_fallbacks", "warning")),
        ({"is_debug": True}, ("debug", "problem")),
        ({"hosts": ["https://agents.example.com"]}, ("hosts", "problem")),
        ({"hosts": ["*"]}, ("hosts", "problem")),
        ({"hosts": [".com"]}, ("hosts", "problem")),
        ({"hosts": [".example.com", ".localhost"]}, None),
        ({"origins": ["app.example.com"]}, ("origins", "problem")),
        ({"trusted_proxies": ["0.0.0.0/0"]}, ("trusted_proxies", "problem")),
        ({"trusted_proxies": ["nginx", "10.0.0.7"]}, ("trusted_proxies", "problem")),
        ({"is_open": True}, ("access", "warning")),
    ],
)
def test_a_fault_of_the_settings_is_named(
    changes: dict[str, object], fault: tuple[str, str] | None
) -> None:
    settings = replace(GOOD, **changes)  # type: ignore[arg-type]
    found = faults([each for judge in configuration.JUDGES for each in judge(settings)])
    assert found == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("mode", "levels"),
    [
        *((0o600, []), (0o400, []), (0o640, []), (0o440, [])),
        *((0o644, ["warning"]), (0o604, ["warning"]), (0o660, ["warning"]), (0o664, ["warning"])),
        *((0o666, ["problem"]), (0o602, ["problem"])),
    ],
)
def test_a_settings_file_that_others_may_read_or_change_is_named_with_its_mode(
    mode: int, levels: list[str]
) -> None:
    found = list(settings_file.judge(SettingsFile("/etc/myagent/site.env", 0o100000 | mode)))
    assert faults(found) == [("settings_file", level) for level in levels]
    assert f"/etc/myagent/site.env (mode {mode:04o})" in tell(found[0].fact) or not levels
    assert not levels or "chmod 600 /etc/myagent/site.env" in tell(found[0].advice)


def test_where_no_file_has_settings_nothing_is_said_of_it() -> None:
    assert list(settings_file.judge(None)) == []


def test_a_variable_that_is_no_setting_is_named_with_the_one_that_was_meant() -> None:
    known = ("MYAGENT_AUTH", "MYAGENT_AGENT", "MYAGENT_LEASE_S")
    found = list(names.judge(["MYAGENT_AUHT", "MYAGENT_WEATHER"], known))
    assert faults(found) == [("setting_names", "warning")] * 2
    assert "MYAGENT_AUTH " in tell(found[0].advice)
    assert faults(names.judge([], known)) == []


@pytest.mark.parametrize(
    ("folder", "levels"),
    [
        (Folder("/srv/agents", "/srv/agents"), []),
        (Folder("/", "/"), ["problem"]),
        (Folder("/gone", "/gone", is_folder=False), ["warning"]),
        (Folder("agents", "/home/me/agents", is_relative=True), ["warning"]),
        (Folder("../..", "/", is_relative=True), ["problem", "warning"]),
        (Folder("/srv/agents", "/srv/agents", is_open_to_all=True), ["problem"]),
    ],
)
def test_a_folder_of_agent_files_that_is_not_as_it_should_be_is_named(
    folder: Folder, levels: list[str]
) -> None:
    found = faults(registering.judge_folders([folder]))
    assert found == [("agent_dirs", level) for level in levels]


@pytest.mark.parametrize("name", ["*", "P*", "PATH", "PYTHONSTARTUP", "LD_*", "LD_PRELOAD", "B*"])
def test_a_variable_that_runs_code_is_named(name: str) -> None:
    assert faults(registering.judge_variables(["APP_*", name])) == [("env_allowed", "problem")]


@pytest.mark.parametrize(
    "name", ["OPENAI_*", "LLM_*", "APP_*", "PATHS", "WEATHER_CITY", "NODE_ENV"]
)
def test_a_variable_of_agents_runs_no_code(name: str) -> None:
    assert what_it_reaches(name) == []


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "https://app.example.com/", "https://*.example.com", "https://app.example.com:443"),
        *("https://App.example.com", "app.example.com:80", "https://", "https://x:y"),
    ],
)
def test_what_no_browser_sends_is_no_origin(origin: str) -> None:
    assert not is_origin(origin)


@pytest.mark.parametrize("host", ["agents.example.com", ".example.com", "*", "[::1]"])
def test_a_name_is_a_host(host: str) -> None:
    assert is_host(host)


def test_a_generated_key_is_strong() -> None:
    assert weakness_of(KEY) is None


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"charset": "latin1", "collation": "latin1_swedish_ci"}, ("database_charset", "problem")),
        ({"isolation": "REPEATABLE-READ"}, ("database_session", "problem")),
        ({"sql_mode": ""}, ("database_session", "problem")),
        ({"time_zone": "SYSTEM"}, ("database_session", "problem")),
        ({"commits_itself": False}, ("database_session", "problem")),
        ({"packet_mb": 1}, ("database_packet", "problem")),
        ({"is_read_only": True}, ("database_writes", "problem")),
        ({"write_failure": "denied"}, ("database_writes", "problem")),
        ({"flushes": 2}, ("database_durability", "warning")),
        ({"odd_tables": ["agents_run"]}, ("database_tables", "problem")),
    ],
)
def test_a_fault_of_a_database_server_is_named(
    changes: dict[str, object], fault: tuple[str, str] | None
) -> None:
    found = faults(database.judge_mysql(replace(MYSQL, **changes)))  # type: ignore[arg-type]
    assert found == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"mode": 0o644}, ("database_file", "warning")),
        ({"journal_mode": "delete"}, ("database_journal", "problem")),
        ({"write_failure": "readonly"}, ("database_writes", "problem")),
    ],
)
def test_a_fault_of_an_sqlite_file_is_named(
    changes: dict[str, object], fault: tuple[str, str] | None
) -> None:
    found = faults(database.judge_sqlite(replace(SQLITE, **changes)))  # type: ignore[arg-type]
    assert found == ([fault] if fault else [])


def test_migrations_that_are_missing_unknown_or_unfinished_are_named() -> None:
    assert faults(database.judge_migrations(Migrations((), (), is_unfinished=False))) == []
    found = faults(database.judge_migrations(Migrations(["a.1"], ["a.9"], is_unfinished=True)))
    assert [level for _, level in found] == ["problem", "problem", "warning"]


@pytest.mark.parametrize(
    ("ahead_s", "round_trip_s", "level"),
    [(0.1, 0.0, "ok"), (3, 0.1, "warning"), (-3, 2, "ok"), (-90, 0.1, "problem")],
)
def test_clocks_that_differ_by_more_than_the_question_took_are_named(
    ahead_s: float, round_trip_s: float, level: str
) -> None:
    assert machine.judge_clock(ahead_s, round_trip_s).level == level


@pytest.mark.parametrize(("limit", "level"), [(128, "problem"), (1024, "warning"), (20_000, "ok")])
def test_too_few_open_files_for_the_clients_that_are_allowed_are_named(
    limit: int, level: str
) -> None:
    assert machine.judge_files(Files("serve", limit), per_address=1000).level == level


@pytest.mark.parametrize(("limit", "room"), [(40, 30), (20_000, 19_936)])
def test_as_many_clients_are_named_as_a_server_takes(limit: int, room: int) -> None:
    finding = machine.judge_files(Files("serve", limit), per_address=0)
    assert f": {room} clients at" in tell(finding.fact)


@pytest.mark.parametrize(
    ("disk", "level"),
    [
        (Disk("var", 50_000, None), "ok"),
        (Disk("var", 500, 10_000), "warning"),
        (Disk("var", 5, 10_000), "problem"),
        (Disk("var", 50_000, 3), "problem"),
        (Disk("var", failure="Permission denied"), "problem"),
    ],
)
def test_a_disk_that_is_full_or_closed_is_named(disk: Disk, level: str) -> None:
    assert machine.judge_disk(disk).level == level


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({}, None),
        ({"redis_version": "3.2.1"}, ("redis", "problem")),
        ({"role": "slave"}, ("redis", "problem")),
        ({"maxmemory": 100, "maxmemory_policy": "allkeys-lru"}, ("redis_eviction", "warning")),
        ({"maxmemory": 100, "used_memory": 95}, ("redis_memory", "warning")),
    ],
)
def test_a_fault_of_redis_is_named(said: dict[str, object], fault: tuple[str, str] | None) -> None:
    found = faults(redis_server.judge({"redis_version": "7.0.15", "role": "master", **said}))
    assert found == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        (
            {"file": AgentFile("weather.py", Said("its agent file is gone"))},
            ("service_file", "problem"),
        ),
        ({"file": AgentFile("weather.py", is_exposed=True)}, ("service_file", "warning")),
        (
            {"file": AgentFile("weather.py", is_exposed=True, is_open_to_all=True)},
            ("service_file", "problem"),
        ),
        ({"file": AgentFile("weather.py", is_outside=True)}, ("service_file", "warning")),
        ({"interpreter": Interpreter("/no/python", "gone")}, ("service_python", "problem")),
        ({"has_readable_variables": False}, ("service_variables", "problem")),
        ({"is_wanted": True, "has_supervisor": False}, ("supervisor", "problem")),
        ({"is_wanted": True, "status": "error", "error": "exit 1"}, ("service", "problem")),
        ({"is_wanted": True, "status": "unhealthy", "error": "lag"}, ("service", "warning")),
        (
            {"is_wanted": True, "status": "unhealthy", "has_supervisor": False},
            ("supervisor", "problem"),
        ),
        ({"is_wanted": True, "is_degraded": True, "answering": 0}, ("service", "warning")),
        ({"is_wanted": True, "is_degraded": True, "frozen": [7]}, ("service", "warning")),
        ({"is_wanted": True, "status": "unhealthy", "frozen": [7]}, ("service", "warning")),
        ({"is_degraded": True}, None),
        ({"file": None, "interpreter": None, "nodes": "b"}, None),
    ],
)
def test_a_fault_of_a_service_is_named(
    changes: dict[str, object], fault: tuple[str, str] | None
) -> None:
    found = list(service_files.judge(replace(SERVICE, **changes)))  # type: ignore[arg-type]
    assert found
    assert faults(found) == ([fault] if fault else [])


def test_servers_that_are_gone_exposed_or_of_another_version_are_named() -> None:
    found = [
        ServerFacts("a", "1.0", is_dead=False, is_exposed=True),
        ServerFacts("b", "1.1", is_dead=False),
        ServerFacts("c", "1.0", is_dead=True),
    ]
    named = faults(processes.judge_servers(found, is_open=True))
    assert named == [("access", "warning"), ("servers", "warning"), ("versions", "warning")]
    assert faults(processes.judge_servers(found[1:2], is_open=True)) == []


def test_a_server_that_is_frozen_is_not_called_gone_and_counts_for_nothing() -> None:
    found = [
        ServerFacts("a", "1.0", is_dead=True, is_exposed=True, frozen_pid=7),
        ServerFacts("b", "1.1", is_dead=False),
    ]
    judged = list(processes.judge_servers(found, is_open=True))
    assert faults(judged) == [("servers", "warning")]
    assert "kill -CONT 7" in tell(judged[0].advice)
    assert tell(judged[1].fact) == "Servers that run: 1."


def test_chores_that_nobody_does_are_named() -> None:
    assert faults(processes.judge_chores(Chores(NOW - timedelta(hours=1), None), NOW)) == []
    late = Chores(NOW - timedelta(days=2), NOW - timedelta(days=40))
    assert faults(processes.judge_chores(late, NOW)) == [("chores", "warning")] * 2


@pytest.mark.parametrize(
    ("port", "levels"),
    [
        (None, []),
        (MetricsPort("127.0.0.1:9100"), []),
        (MetricsPort("127.0.0.1:9100", is_served=True), []),
        (MetricsPort("0.0.0.0:9100", is_served=True, is_exposed=True), ["warning"]),
        (MetricsPort("127.0.0.1:80", failure="Permission denied"), ["problem"]),
    ],
)
def test_a_port_for_metrics_that_is_taken_or_open_to_others_is_named(
    port: MetricsPort | None, levels: list[str]
) -> None:
    found = faults(reporting.judge_metrics(port))
    assert found == [("metrics", level) for level in levels]


def test_logs_errors_and_traces_that_arrive_nowhere_are_named() -> None:
    assert not faults(
        [
            *reporting.judge_log_file(LogFile("/var/log/myagent.log")),
            *reporting.judge_log_file(None),
            *reporting.judge_errors(Receiver("sentry.example.com")),
            *reporting.judge_traces(Receiver("otel.example.com:4318")),
            reporting.judge_backups("/usr/bin/mariadb-dump"),
        ]
    )
    assert faults(
        [
            *reporting.judge_log_file(LogFile("/gone/myagent.log", "No such file or directory")),
            *reporting.judge_errors(Receiver("", "SENTRY_DSN can't be read.")),
            *reporting.judge_traces(Receiver("otel.example.com:4318", "Connection refused")),
            reporting.judge_backups(None),
        ]
    ) == [
        *(("log_file", "problem"), ("sentry", "problem"), ("otlp", "warning")),
        ("backups", "warning"),
    ]


def test_former_keys_that_variables_still_need_are_named() -> None:
    assert not faults([configuration.judge_former_keys([])])
    assert faults([configuration.judge_former_keys(["weather"])]) == [("former_keys", "warning")]


def test_servers_with_another_redis_or_another_database_are_named() -> None:
    here, there = Registered("1", "a:8000"), Registered("2", "b:8000")
    present = [Present(each.server_id, each.name, "mine", 0.0) for each in (here, there)]
    assert not faults(one_site.judge("mine", [here, there], present))
    assert not faults(one_site.judge("mine", [here, replace(there, is_new=True)], present[:1]))
    assert faults(one_site.judge("mine", [here, there], present[:1])) == [("one_redis", "warning")]
    strange = Present("3", "c:8000", "another", 0.0)
    found = faults(one_site.judge("mine", [here, there], [*present, strange]))
    assert found == [("one_database", "warning")]
