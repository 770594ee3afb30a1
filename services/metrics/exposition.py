"""All metrics as text, in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Metric,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from services.metrics.standing import Standing

CONTENT_TYPE = CONTENT_TYPE_LATEST


class OfServer(Collector):
    """The counters of this server: of its process, or of all of them together."""

    def collect(self) -> Iterable[Metric]:
        if settings.METRICS_DIR:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, settings.METRICS_DIR)  # type: ignore[no-untyped-call]
            return registry.collect()
        return REGISTRY.collect()


def registry(standing: Standing) -> CollectorRegistry:
    found = CollectorRegistry(auto_describe=False)
    found.register(OfServer())
    found.register(standing)
    return found


def text() -> bytes:
    """Synchronous: asks the database."""
    return generate_latest(registry(Standing()))
