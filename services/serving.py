"""The server of a site with many services."""

from __future__ import annotations

from agents.hub import Hub
from agents.serving import ServerProcess
from agents.workers import Workers
from services.directory import SiteDirectory


def site_server() -> tuple[ServerProcess, SiteDirectory]:
    """One that carries conversations of every registered service, and how it knows of them."""
    workers = Workers()
    directory = SiteDirectory(workers)
    hub = Hub(directory, workers)
    directory.on_leaving = hub.end_runs
    return ServerProcess(hub, directory), directory
