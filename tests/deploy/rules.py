"""The site's rules for Prometheus, and the same with all their times shortened alike."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.runners import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
RULES = FOLDER / "alerts.yml"
CONFIGURATION = FOLDER / "prometheus.yml"

Content = dict[str, Any]

TIMES_FASTER = 40
"""By how much every window, every `for` and every interval is shortened: ten minutes take 15 s."""

SLOW_MODEL = ("> 20", "> 1")
"""The only threshold that is another one: a model that is slow for an hour is nothing to wait for.
Seconds to the first token; the metric's buckets have both.
"""

UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
WINDOW = re.compile(r"\[[^\]]*\]")
DURATION = re.compile(r"(\d+)([smhd])\b")


def alerts() -> list[Content]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def shortened(text: str) -> str:
    """Each duration in a text, as `10m`."""

    def shorter(found: re.Match[str]) -> str:
        return f"{int(found[1]) * UNITS_MS[found[2]] // TIMES_FASTER}ms"

    return DURATION.sub(shorter, text)


def shortened_rules() -> Content:
    """The file of rules as it is, but for its times."""
    content: Content = yaml.safe_load(RULES.read_text())
    for group in content["groups"]:
        for rule in group["rules"]:
            rule["expr"] = WINDOW.sub(lambda found: shortened(found[0]), rule["expr"])
            if rule["alert"] == "MyAgentModelSlow":
                assert SLOW_MODEL[0] in rule["expr"]
                rule["expr"] = rule["expr"].replace(*SLOW_MODEL)
            if "for" in rule:
                rule["for"] = shortened(rule["for"])
    return content


def shortened_configuration(targets: list[str]) -> Content:
    """The configuration as it is, but for its times and its targets."""
    content: Content = yaml.safe_load(CONFIGURATION.read_text())
    for name, interval in content["global"].items():
        content["global"][name] = shortened(interval)
    (job,) = content["scrape_configs"]
    (static,) = job["static_configs"]
    static["targets"] = targets
    return content
