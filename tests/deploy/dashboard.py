"""What Grafana's dashboard asks Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.runners import ROOT

DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"


def panels() -> Iterator[tuple[str, str]]:
    """The title and a query of each panel."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def filled(query: str) -> str:
    """As Grafana asks it, about all services and servers."""
    return (
        query.replace("$__rate_interval", "1m").replace("$service", ".*").replace("$instance", ".*")
    )
