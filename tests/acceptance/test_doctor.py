"""`manage.py doctor` names what is really wrong with a site, and changes nothing."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.databases import fresh_database
from tests.managed_site import ManagedSite, managed_site, until
from tests.ports import free_port
from tests.runners import ROOT
from tests.servers import MariaDB, Redis, execute_sql

pytestmark = pytest.mark.processes

KEY = "qmCwcQvYEI6oFh0hYl8cGq2v4m0Jw1c1Yx8vXh3d0mM2uN9pLkT7sRzA5bE"
AGENT = "async def agent(text):\n    yield text\n"


class Patient:
    """A site, and what the doctor finds out about it."""

    def __init__(self, site: ManagedSite) -> None:
        self.site = site

    def examine(
        self, *, before: Callable[[], None] | None = None, **environment: str
    ) -> list[dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, "manage.py", "doctor", "--json"],
            cwd=ROOT,
            env=self.site.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            preexec_fn=before,
            check=False,
        )
        said = json.loads(done.stdout)
        assert done.returncode == (1 if said["problems"] else 0), done.stderr
        assert all(each["what_to_do"] for each in said["findings"] if each["level"] != "ok")
        found: list[dict[str, Any]] = said["findings"]
        return found

    def problems(self, **environment: str) -> dict[str, str]:
        """Of each check that found a problem, what it said last."""
        found = self.examine(**environment)
        return {each["check"]: each["finding"] for each in found if each["level"] == "problem"}


@pytest.fixture
def patient(fresh_database_url: str, tmp_path: Path) -> Iterator[Patient]:
    with managed_site(fresh_database_url, tmp_path, SECRET_KEY=KEY) as site:
        yield Patient(site)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


@pytest.mark.both_databases
def test_a_site_that_serves_has_no_problem(patient: Patient) -> None:
    patient.site.serve()
    patient.site.register("echo", patient.site.write("echo.py", AGENT), "--auto-start")
    patient.site.until_runs("echo")
    found = patient.examine()
    assert [each for each in found if each["level"] == "problem"] == []
    named = {each["check"] for each in found}
    assert {"database", "migrations", "redis", "disk", "open_files", "servers"} <= named
    assert any("echo" in each["finding"] for each in found if each["check"] == "service")


@pytest.mark.both_databases
def test_migrations_that_are_missing_are_named_and_not_applied(
    empty_database_url: str, tmp_path: Path
) -> None:
    if empty_database_url.startswith("sqlite"):
        Path(empty_database_url.removeprefix("sqlite:///")).touch(mode=0o600)
    # Nothing of it is left running, and it has no tables to look for that in.
    site = ManagedSite(empty_database_url, tmp_path, SECRET_KEY=KEY)
    for _ in range(2):
        assert "migrations" in Patient(site).problems()


def test_the_settings_are_judged(patient: Patient) -> None:
    problems = patient.problems(
        SECRET_KEY="changeme",
        DEBUG="true",
        ALLOWED_HOSTS="https://agents.example.com",
        MYAGENT_ALLOWED_ORIGINS="app.example.com",
        MYAGENT_TRUSTED_PROXIES="0.0.0.0/0",
    )
    assert set(problems) == {"secret_key", "debug", "hosts", "origins", "trusted_proxies"}
    assert "app.example.com" in problems["origins"]


def test_a_setting_that_cannot_be_read_hides_nothing_and_shows_no_secret(patient: Patient) -> None:
    patient.site.environment |= {"MYAGENT_TRUSTED_PROXIES": "nginx", "ALLOWED_HOSTS": ".com"}
    for arguments in (["doctor"], ["doctor", "--json"]):
        assert KEY not in patient.site.manage(*arguments, expect=1)
    problems = patient.problems()
    assert {"trusted_proxies", "hosts"} <= problems.keys()
    assert "'nginx'" in problems["trusted_proxies"]


def test_a_look_that_fails_is_a_sentence_beside_what_it_found_and_shows_no_variables(
    patient: Patient, tmp_path: Path
) -> None:
    # The judge of keys can't read a folder that is none.
    program = tmp_path / "examine.py"
    program.write_text(FAILING)
    done = subprocess.run(
        [sys.executable, program, "doctor", "--json"],
        cwd=ROOT,
        env=patient.site.environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)["findings"]
    failed = [each["finding"] for each in found if each["check"] == "settings"]
    assert failed == ["It could not be looked at: ZeroDivisionError: division by zero"]
    assert {"debug", "hosts", "database"} <= {each["check"] for each in found}
    assert "examination_failed" in done.stderr
    assert KEY not in done.stdout + done.stderr


FAILING = """
import manage
from services.doctor import configuration

def fails(found):
    yield from configuration.judge_debug(found)
    1 / 0

configuration.JUDGES = (fails, *configuration.JUDGES[2:])
manage.main()
"""


def test_settings_that_have_no_effect_or_too_much_are_named(
    patient: Patient, tmp_path: Path
) -> None:
    found = patient.examine(
        MYAGENT_AUHT="token",
        MYAGENT_ENV_ALLOWED="APP_*,LD_PRELOAD",
        MYAGENT_AGENT_DIRS=f"/,{tmp_path / 'gone'}",
    )
    said = [(each["check"], each["level"]) for each in found if each["level"] != "ok"]
    assert {("setting_names", "warning"), ("env_allowed", "problem")} <= set(said)
    assert {("agent_dirs", "problem"), ("agent_dirs", "warning")} <= set(said)
    assert "MYAGENT_AUTH " in of_check(found, "setting_names")["what_to_do"]


def test_a_database_that_is_away_is_named(patient: Patient) -> None:
    pytest.importorskip("MySQLdb")
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert "database" in patient.problems(DATABASE_URL=f"mysql://root@127.0.0.1:{port}/site")


def test_a_database_and_a_redis_that_hang_are_named_in_time(
    patient: Patient, silent_port: int
) -> None:
    pytest.importorskip("MySQLdb")
    problems = patient.problems(
        DATABASE_URL=f"mysql://root@127.0.0.1:{silent_port}/site",
        REDIS_URL=f"redis://127.0.0.1:{silent_port}/0",
    )
    assert set(problems) == {"database", "redis"}


def test_a_redis_that_answers_and_forgets_is_named(patient: Patient, redis_server: Redis) -> None:
    def of_redis() -> list[tuple[str, str]]:
        found = patient.examine(REDIS_URL=redis_server.url)
        return [(one["check"], one["level"]) for one in found if one["check"].startswith("redis")]

    assert of_redis() == [("redis", "ok")]
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert of_redis() == [("redis", "ok"), ("redis_eviction", "warning")]
        finally:
            client.config_set("maxmemory", "0")
            client.config_set("maxmemory-policy", "noeviction")


def test_a_folder_that_cannot_be_written_is_named(patient: Patient, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert str(file) in patient.problems(MYAGENT_VAR_DIR=str(file))["disk"]


def test_metrics_logs_errors_and_traces_that_can_go_nowhere_are_named(
    patient: Patient, tmp_path: Path, silent_port: int
) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        nobodys = f"127.0.0.1:{taken.getsockname()[1]}"
        found = patient.examine(
            MYAGENT_METRICS_PORT=str(silent_port),
            MYAGENT_LOG_FILE=str(tmp_path / "gone" / "site.log"),
            SENTRY_DSN="sentry.example.com",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{nobodys}",
        )
    levels = {each["check"]: each["level"] for each in found if each["level"] != "ok"}
    assert levels.items() >= {
        *(("metrics", "problem"), ("log_file", "problem"), ("sentry", "problem")),
        ("otlp", "warning"),
    }


@pytest.mark.long
def test_metrics_that_other_machines_may_read_are_named_and_our_own_port_is_not_taken(
    patient: Patient,
) -> None:
    ours = {"MYAGENT_METRICS_PORT": str(free_port())}
    patient.site.serve(**ours).wait_for_log("metrics_at")
    found = of_check(patient.examine(**ours, http_proxy="http://127.0.0.1:9"), "metrics")
    assert found["level"] == "ok"
    found = of_check(patient.examine(**ours, MYAGENT_METRICS_HOST="0.0.0.0"), "metrics")
    assert found["level"] == "warning"


def of_check(found: list[dict[str, Any]], check: str) -> dict[str, Any]:
    [one] = [each for each in found if each["check"] == check]
    return one


@pytest.mark.long
def test_it_says_whether_former_keys_are_still_needed(patient: Patient) -> None:
    site = patient.site
    site.register("sealed", site.write("sealed.py", AGENT), "--env", "LLM_X=secret")
    keys = {"SECRET_KEY": KEY[::-1], "SECRET_KEY_FALLBACKS": KEY}
    found = of_check(patient.examine(**keys), "former_keys")
    assert (found["level"], "sealed" in found["finding"]) == ("warning", True)
    site.environment |= keys
    site.services("reencrypt")
    assert of_check(patient.examine(), "former_keys")["level"] == "ok"


@pytest.mark.long
def test_servers_that_have_not_the_same_redis_and_database_are_named(
    patient: Patient, redis_server: Redis, tmp_path: Path
) -> None:
    site, url = patient.site, redis_server.url
    site.serve(REDIS_URL=url)
    with redis.Redis.from_url(url) as client:
        until(lambda: client.hlen("myagent:servers") == 1, "the server answers")
        assert of_check(patient.examine(REDIS_URL=url), "one_site")["level"] == "ok"
        # A server is not judged while it is new.
        site.execute("UPDATE agents_server SET started_at = '2026-01-01 00:00:00'")
        assert of_check(patient.examine(REDIS_URL=url), "one_site")["level"] == "ok"
        apart = {"REDIS_URL": f"{url.rpartition('/')[0]}/1"}
        assert of_check(patient.examine(**apart), "one_redis")["level"] == "warning"
        (tmp_path / "other").mkdir()
        with (
            fresh_database(tmp_path / "other") as other,
            managed_site(other, tmp_path / "other", SECRET_KEY=KEY, REDIS_URL=url) as neighbour,
        ):
            # Databases of tests are copies of one.
            neighbour.execute("UPDATE django_migrations SET applied = '2026-01-01 00:00:00'")
            neighbour.serve()
            until(lambda: client.hlen("myagent:servers") == 2, "the other answers")
            found = of_check(patient.examine(REDIS_URL=url), "one_database")
        assert found["level"] == "warning"


def test_a_limit_of_open_files_that_is_too_low_is_named(patient: Patient) -> None:
    found = patient.examine(before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)))
    (files,) = [each for each in found if each["check"] == "open_files"]
    assert files["level"] == "problem"
    assert "128" in files["finding"]


def test_a_process_that_holds_the_lock_is_named(patient: Patient) -> None:
    database = patient.site.database_url.removeprefix("sqlite:///")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline()
        holder.send_signal(signal.SIGSTOP)
        said = patient.problems()["database_writes"]
    finally:
        holder.kill()
        holder.communicate()
    assert f"kill -CONT {holder.pid}" in said


HOLD = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_every_service_is_looked_at(patient: Patient, tmp_path: Path) -> None:
    site = patient.site
    for name in ("broken", "gone", "odd", "true", "open"):
        site.register(name, site.write(f"{name}.py", AGENT))
    site.register("sealed", site.write("sealed.py", AGENT), "--env", "LLM_X=secret")
    (tmp_path / "broken.py").write_text("def agent(:\n")
    (tmp_path / "gone.py").unlink()
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\necho 'No module named myagent' >&2; exit 1\n")
    old.chmod(0o755)
    site.execute(f"UPDATE services_service SET python = '{old}' WHERE name = 'odd'")
    true = tmp_path / "true"
    shutil.copy("/usr/bin/true", true)
    site.execute(f"UPDATE services_service SET python = '{true}' WHERE name = 'true'")
    (tmp_path / "open.py").chmod(0o666)
    before = sorted((tmp_path / "var").rglob("*"))
    found = [each for each in patient.examine(SECRET_KEY=KEY[::-1]) if each["level"] == "problem"]
    said = {each["check"] + " " + each["finding"].partition(":")[0] for each in found}
    assert said == {
        *("service_file broken", "service_file gone"),
        *("service_python odd", "service_variables sealed"),
        *("service_python true", "service_file open"),
    }
    assert sorted((tmp_path / "var").rglob("*")) == before
    assert any("line 1" in each["finding"] for each in found)
    assert any("No module named myagent" in each["finding"] for each in found)


def test_a_service_that_nothing_supervises_and_a_server_that_died_are_named(
    patient: Patient,
) -> None:
    serving = patient.site.serve()
    patient.site.register("echo", patient.site.write("echo.py", AGENT), "--auto-start")
    patient.site.until_runs("echo")
    serving.kill()
    found = patient.examine()
    levels = {each["check"]: each["level"] for each in found if each["level"] != "ok"}
    assert levels.items() >= {"supervisor": "problem", "servers": "warning"}.items()


def test_faults_of_a_database_server_are_named(mariadb: MariaDB, tmp_path: Path) -> None:
    pytest.importorskip("MySQLdb")
    execute_sql(mariadb.port, "CREATE DATABASE latin CHARACTER SET latin1")
    execute_sql(mariadb.port, "CREATE USER reader@'127.0.0.1'")
    execute_sql(mariadb.port, "GRANT SELECT ON latin.* TO reader@'127.0.0.1'")
    columns = "id INT, app VARCHAR(9), name VARCHAR(9), applied DATETIME"
    execute_sql(mariadb.port, f"CREATE TABLE latin.django_migrations ({columns}) ENGINE=MyISAM")
    odd_clock = "init_command=SET+timestamp%3D86400"
    url = f"mysql://reader@127.0.0.1:{mariadb.port}/latin?{odd_clock}&isolation_level=serializable"
    problems = Patient(ManagedSite(url, tmp_path, SECRET_KEY=KEY)).problems()
    assert {
        *("database_charset", "database_tables", "database_writes", "database_session", "clock"),
        "migrations",
    } <= problems.keys()


def test_a_site_that_is_deployed_as_documented_passes_the_checks(patient: Patient) -> None:
    deployed = {
        "MYAGENT_AUTH": "token",
        "ALLOWED_HOSTS": "agents.example.com",
        "MYAGENT_TRUSTED_PROXIES": "127.0.0.1",
        "MYAGENT_ALLOWED_ORIGINS": "https://app.example.com",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=patient.site.environment | deployed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert patient.problems(**deployed) == {}


def test_people_read_a_line_for_each_check(patient: Patient) -> None:
    said = patient.site.manage("doctor")
    assert said.startswith("level\tcheck\tfinding\twhat to do\n")
    assert "\nok\tdatabase\tSQLite " in said
    chinese = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=ROOT,
        env=patient.site.environment | {"LC_ALL": "zh_CN.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "密钥" in chinese
