"""The open connections in the admin."""

from __future__ import annotations

import pytest
from django.test import Client

from agents.models import Connection, Server
from tests.services.connected import add_connection
from tests.services.measured import add_server

from .conftest import Person

LIST = "/admin/agents/connection/"

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def server() -> Server:
    return add_server()


def choose(client: Client, *connections: Connection) -> str:
    chosen = [each.pk for each in connections]
    form = {"action": "disconnect", "_selected_action": chosen}
    return client.post(LIST, form, follow=True).content.decode()


def test_connections_are_listed_and_closed(chief: Client, server: Server) -> None:
    one, other = (add_connection(server, "weather", user_agent=f"<b>{n}") for n in range(2))
    page = chief.get(LIST).content.decode()
    assert one.pk in page and "&lt;b&gt;0" in page
    assert "Connections that are being closed: 1." in choose(chief, one)
    assert list(Connection.objects.filter(is_to_close=True)) == [one]
    assert other.pk in chief.get(f"{LIST}?q={other.pk}").content.decode()


def test_who_may_only_look_can_not_close(person: Person, server: Server) -> None:
    one = add_connection(server)
    viewer = person("view_connection")
    assert one.pk in viewer.get(LIST).content.decode()
    choose(viewer, one)
    assert not Connection.objects.filter(is_to_close=True).exists()
