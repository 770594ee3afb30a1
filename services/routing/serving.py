"""The server of a site with many services."""

from __future__ import annotations

from agents.runs.workers import Workers
from agents.serving import ServerProcess
from agents.sessions.conversations import Conversations
from services.routing.directory import SiteDirectory
from services.routing.own_ports import Application, OwnPorts
from services.supervision import figures


def site_server() -> tuple[ServerProcess, SiteDirectory]:
    """A server that holds the sessions of every registered service, and its directory."""
    workers = Workers()
    directory = SiteDirectory(workers)
    conversations = Conversations(directory, workers)
    directory.on_leaving = conversations.end_runs
    directory.clients_here = conversations.clients_of
    directory.server_id = lambda: conversations.lease.server_id
    return ServerProcess(conversations, directory), directory


def own_ports(
    server: ServerProcess, directory: SiteDirectory, application: Application
) -> OwnPorts:
    """The services' own ports, opened from now on as the directory learns of them.

    The server's report says which of them it can't open.
    """
    ports = OwnPorts(application, server.connections)
    directory.on_change = lambda: ports.follow(directory.own_ports)
    server.conversations.says_besides = lambda: {figures.OWN_PORTS: ports.report()}
    return ports
