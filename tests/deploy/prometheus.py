"""A real Prometheus with the site's own rules: what it fires, and what it answers."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.parse
import urllib.request
from typing import Any

import yaml

from tests.deploy.rules import shortened_configuration, shortened_rules
from tests.managed_site import until
from tests.servers import PrivateServer

QUIET_S = 60.0
ASK_S = 10.0

UNRENDERED = re.compile(r"<no value>|<error|\{\{|NaN|\d\.\d{4}")
"""What a template leaves where it goes wrong, and numbers that nobody reads aloud."""


class Alert:
    """One that fires: its labels, and its sentences as people get them."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.labels: dict[str, str] = told["labels"]
        self.name = self.labels["alertname"]
        self.summary: str = told["annotations"]["summary"]
        self.action: str = told["annotations"]["action"]

    def __repr__(self) -> str:
        return f"{self.name}: {self.summary}"

    @property
    def commands(self) -> list[list[str]]:
        """The words of each `manage.py …` that the action names."""
        return [found.split() for found in re.findall(r"`manage\.py ([^`]+)`", self.action)]


class Prometheus(PrivateServer):
    """`ports`: at which servers of the site tell their metrics."""

    program = "prometheus"

    def __init__(self, *ports: int) -> None:
        super().__init__()
        self._targets = [f"127.0.0.1:{port}" for port in ports]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def install(self) -> None:
        files = {
            "prometheus.yml": shortened_configuration(self._targets),
            "alerts.yml": shortened_rules(),
        }
        for name, content in files.items():
            (self.folder / name).write_text(yaml.safe_dump(content))

    def command(self) -> list[str]:
        return [
            self.program,
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.address}",
            "--log.level=warn",
        ]

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=ASK_S) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that it has for this now."""
        return list(self._ask("query", query=expression)["result"])

    def value(self, expression: str) -> float:
        """Of an expression that is a number."""
        return float(self._ask("query", query=expression)["result"][1])

    def rule_errors(self) -> list[str]:
        """Of rules that could not be asked."""
        rules = [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]
        return [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule["health"] != "ok"]

    def firing(self, name: str = "", **labels: str) -> list[Alert]:
        """The alerts of this name, or all, that fire with these labels."""
        told = [each for each in self._ask("alerts")["alerts"] if each["state"] == "firing"]
        alerts = [Alert(each) for each in told]
        return [
            each
            for each in alerts
            if name in ("", each.name) and labels.items() <= each.labels.items()
        ]

    def names(self) -> set[str]:
        """Of all alerts that fire."""
        return {alert.name for alert in self.firing()}

    def until_firing(self, name: str, **labels: str) -> Alert:
        """The alert, once it fires. What it says has to be a sentence."""
        (alert,) = until(lambda: self.firing(name, **labels), f"{name} fires")
        for text in (alert.summary, alert.action):
            assert not UNRENDERED.search(text), text
        return alert

    async def fires(self, name: str, **labels: str) -> Alert:
        """The same where clients go on meanwhile."""
        return await asyncio.to_thread(self.until_firing, name, **labels)

    def until_quiet(self, name: str, **labels: str) -> None:
        until(lambda: not self.firing(name, **labels), f"{name} is quiet", patience_s=QUIET_S)

    def until_scraped(self) -> None:
        """All servers were read, and the rules have been asked about that."""
        wanted = len(self._targets)
        until(lambda: len(self.query('up{job="myagent"} == 1')) == wanted, "all are scraped")

    def until_time(self, moment: float) -> None:
        """By its own clock, which is that of its windows."""
        until(lambda: self.value("time()") >= moment, "time passes")

    def _ask(self, path: str, **query: str) -> dict[str, Any]:
        address = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=ASK_S) as answer:
            said = json.load(answer)
        assert said["status"] == "success", said
        return dict(said["data"])
