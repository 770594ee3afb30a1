"""Who is connected where, as programs see it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from agents.models import Connection, Server
from tests.services.connected import add_connection
from tests.services.measured import add_server

from .client import Client
from .conftest import StaffClient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture
def server(transactional_db: None) -> Server:
    return add_server()


def ids(client: Client, query: str = "") -> list[str]:
    return [each["connection_id"] for each in client.get(f"connections{query}").json["items"]]


def test_connections_are_listed_with_their_server(client: Client, server: Server) -> None:
    one = add_connection(server, "weather", user_agent="curl/8", principal="user:1")
    [shown] = client.get("connections").json["items"]
    assert shown.pop("connected_at").endswith("Z")
    assert shown == {
        "connection_id": one.pk,
        "service": "weather",
        "server_id": server.pk,
        "host": server.host,
        "path": "/",
        "client_ip": "192.0.2.5",
        "user_agent": "curl/8",
        "principal": "user:1",
        "user": "",
    }


def test_a_connection_has_the_name_of_its_user(staff: StaffClient, server: Server) -> None:
    viewer = staff("view_connection")
    add_connection(server, principal=f"user:{User.objects.get().pk}")
    assert [each["user"] for each in viewer.get("connections").json["items"]] == ["ada"]


def test_a_list_has_pages_and_filters(client: Client, server: Server) -> None:
    other = add_server()
    here, there = add_connection(server, "weather"), add_connection(other, "billing")
    assert set(ids(client)) == {here.pk, there.pk}
    assert ids(client, "?service=billing") == [there.pk]
    assert ids(client, f"?server={server.pk}") == [here.pk]
    page = client.get("connections?limit=1&offset=1").json
    assert (len(page["items"]), page["total"]) == (1, 2)
    assert client.get("connections?sevrice=x").status == 400


def test_a_dead_server_has_no_connections(client: Client, server: Server) -> None:
    one = add_connection(server)
    Server.objects.update(lease_until="2020-01-01T00:00:00Z")
    assert ids(client) == []
    assert client.delete(f"connections/{one.pk}").status == 404


def test_closing_is_asked_of_the_server(client: Client, server: Server) -> None:
    one, other = add_connection(server), add_connection(server)
    assert client.delete(f"connections/{one.pk}").status == 202
    assert list(Connection.objects.filter(is_to_close=True)) == [one]
    assert not Connection.objects.get(pk=other.pk).is_to_close


@pytest.mark.parametrize("id", ["none", "%00", "x" * 200])
def test_an_unknown_one_is_said_to_be(client: Client, transactional_db: None, id: str) -> None:
    answer = client.delete(f"connections/{id}")
    assert (answer.status, answer.code) == (404, "unknown_connection")


def test_looking_and_closing_need_a_permission_each(staff: StaffClient, server: Server) -> None:
    one = add_connection(server)
    nobody, viewer = staff(name="ann"), staff("view_connection", name="bob")
    assert nobody.get("connections").status == 403
    assert ids(viewer) == [one.pk]
    assert viewer.delete(f"connections/{one.pk}").status == 403
    assert staff("delete_connection").delete(f"connections/{one.pk}").status == 202
