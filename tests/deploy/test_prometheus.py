"""The alerts and the dashboard ask for what is served, and an alert fires at its fault alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents import metrics
from services.metrics import exposition
from tests.deploy.dashboard import filled, panels
from tests.deploy.rules import CONFIGURATION, RULES, alerts

ALERTS = alerts()

NAME = re.compile(r"\bmyagent_\w+")
AWAITED = re.compile(r'(?:until_firing|fires)\("(\w+)"')
HOLDS = "30m"
"""When the rules are asked: after the longest `for`."""


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [installed("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def installed(command: str) -> str:
    found = shutil.which(command)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("Prometheus must be installed under CI.")
        pytest.skip("SKIPPED: Prometheus is not installed (scripts/bootstrap --test installs it).")
    return found


@pytest.mark.django_db
def test_every_query_asks_for_what_is_served() -> None:
    text = exposition.text().decode()
    served = set(re.findall(r"^# TYPE (\w+)", text, re.M))
    served |= {f"{name}_{part}" for name in served for part in ("bucket", "count", "sum")}
    asked = {name for alert in ALERTS for name in NAME.findall(alert["expr"])}
    asked |= {name for _, query in panels() for name in NAME.findall(query)}
    assert asked - served == set()
    assert len(asked) > 20


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    shown = " ".join(query for _, query in panels()) + RULES.read_text()
    for name, metric in vars(metrics).items():
        if name.isupper() and hasattr(metric, "describe"):
            (family,) = metric.describe()
            assert family.name in shown, family.name


def test_the_configuration_and_the_queries_are_valid(tmp_path: Path) -> None:
    done = promtool("check", "config", CONFIGURATION)
    assert done.returncode == 0, done.stderr
    rules = [
        {"record": f"panel:{number}", "expr": filled(query)}
        for number, (_, query) in enumerate(panels())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = promtool("check", "rules", file)
    assert done.returncode == 0, done.stderr


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    for alert in ALERTS:
        assert alert["labels"]["severity"] in ("page", "ticket"), alert["alert"]
        assert alert["annotations"].keys() == {"summary", "action"}


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    inner = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return {"series": f"{name}{{{inner}}}" if inner else name, "values": values}


HERE = {"instance": "a:9464"}
WEATHER = HERE | {"service": "weather"}


def histogram(name: str, slow: str, quick: str, border: str, **labels: str) -> list[dict[str, str]]:
    """Observations up to the border, and all of them. What is above the highest border counts as
    that."""
    return [
        series(f"{name}_bucket", quick, le=border, **labels),
        series(f"{name}_bucket", slow, le="+Inf", **labels),
        series(f"{name}_count", slow, **labels),
    ]


HEALTHY = [
    series("up", "1x60", job="myagent", **HERE),
    series("myagent_database_up", "1x60", **HERE),
    series("myagent_storage_available", "1x60", **HERE),
    series("myagent_redis_up", "1x60", **HERE),
    series("myagent_supervised", "1x60", **HERE),
    series("myagent_service_wanted_workers", "2x60", **WEATHER),
    series("myagent_service_wanted_workers", "0x60", **WEATHER | {"service": "stopped"}),
    series("myagent_workers", "2x60", state="running", **WEATHER),
    series("myagent_worker_failures_last_hour", "1x60", cause="crash", **WEATHER),
    series("myagent_runs_ended_total", "0+60x60", status="answered", **WEATHER),
    series("myagent_runs_ended_total", "0+3x60", status="failed", **WEATHER),
    *histogram("myagent_first_token_seconds", "0+60x60", "0+60x60", "2.0", **WEATHER),
    series("myagent_queued_runs", "3x60", **WEATHER),
    *histogram("myagent_journal_commit_seconds", "0+600x60", "0+600x60", "0.05", **HERE),
    series("myagent_journal_backlog", "4x60", **HERE),
    *histogram("myagent_loop_lag_seconds", "0+120x60", "0+119x60", "0.05", **HERE),
    series("myagent_worker_loop_lag_seconds", "0.2x60", slot="0", **WEATHER),
    *histogram("myagent_follower_delay_seconds", "0+600x60", "0+600x60", "0.3", **HERE),
    series("myagent_recorder_failures_total", "0x60", **HERE),
]
"""Of an hour: what a site in good health tells."""

FAULTS: dict[str, list[dict[str, str]]] = {
    "MyAgentServerDown": [series("up", "0x60", job="myagent", **HERE)],
    "MyAgentDatabaseDown": [series("myagent_database_up", "0x60", **HERE)],
    "MyAgentRedisDown": [series("myagent_redis_up", "0x60", **HERE)],
    "MyAgentNotSupervised": [series("myagent_supervised", "0x60", **HERE)],
    "MyAgentServiceDown": [series("myagent_workers", "0x60", state="running", **WEATHER)],
    "MyAgentWorkersFail": [
        series("myagent_worker_failures_last_hour", "3x60", cause="crash", **WEATHER)
    ],
    "MyAgentRunsFail": [series("myagent_runs_ended_total", "0+30x60", status="failed", **WEATHER)],
    "MyAgentModelSlow": histogram(
        "myagent_first_token_seconds", "0+60x60", "0+6x60", "30.0", **WEATHER
    ),
    "MyAgentMessagesWait": [series("myagent_queued_runs", "51x60", **WEATHER)],
    "MyAgentLogSlow": histogram(
        "myagent_journal_commit_seconds", "0+600x60", "0+500x60", "2.5", **HERE
    ),
    "MyAgentLoopLags": histogram("myagent_loop_lag_seconds", "0+120x60", "0+60x60", "1.0", **HERE),
    "MyAgentWorkerLags": [series("myagent_worker_loop_lag_seconds", "9x60", slot="0", **WEATHER)],
    "MyAgentFollowersLate": histogram(
        "myagent_follower_delay_seconds", "0+600x60", "0+500x60", "2.5", **HERE
    ),
    "MyAgentTracesNotRecorded": [series("myagent_recorder_failures_total", "0+1x60", **HERE)],
}
"""What changes at a fault, by the only alert that is to fire."""


def identity(each: dict[str, str]) -> str:
    return re.sub(r'le="(?!\+Inf)[^"]*"', "le", each["series"])


def check_alerts(tmp_path: Path, told: list[dict[str, str]], firing: set[str]) -> None:
    tests = []
    for alert in ALERTS:
        name = alert["alert"]
        expected: list[dict[str, Any]] = []
        if name in firing:
            expected = [{}]
        tests.append({"eval_time": HOLDS, "alertname": name, "exp_alerts": expected})
    file = tmp_path / "alerts_test.yml"
    content = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": told, "alert_rule_test": tests}],
    }
    file.write_text(yaml.safe_dump(content))
    done = promtool("test", "rules", file)
    said = done.stdout + done.stderr
    # What an alert says depends on its labels: of one that is to fire, the name is enough.
    wrong = {
        part.partition(",")[0].strip(): "got:[\n" in part for part in said.split("alertname:")[1:]
    }
    assert wrong == dict.fromkeys(firing, True), said


def test_all_alerts_are_quiet_at_a_site_in_good_health(tmp_path: Path) -> None:
    check_alerts(tmp_path, HEALTHY, set())


def test_no_alert_is_forgotten() -> None:
    """Neither here nor where faults are made for real."""
    names = {alert["alert"] for alert in ALERTS}
    assert FAULTS.keys() == names
    tests = (Path(__file__).parent / "alerts").glob("test_*.py")
    assert {name for test in tests for name in AWAITED.findall(test.read_text())} == names


@pytest.mark.parametrize("alert", FAULTS)
def test_an_alert_fires_at_its_fault_alone(alert: str, tmp_path: Path) -> None:
    changed = {identity(each): each for each in FAULTS[alert]}
    told = [each for each in HEALTHY if identity(each) not in changed]
    check_alerts(tmp_path, told + FAULTS[alert], {alert})
