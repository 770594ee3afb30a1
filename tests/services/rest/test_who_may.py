"""Who may do what over REST: programs on this machine, and staff with the permission for it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.models import Permission, User

from services.catalogue import registry
from services.models import Service, Supervisor

from .client import Client
from .conftest import StaffClient

pytestmark = pytest.mark.django_db(transaction=True)

NEW = {"name": "new", "agent_factory_path": "echo.py"}

ACTIONS = {
    "list": ("GET", "services", None, "view_service"),
    "show": ("GET", "services/echo", None, "view_service"),
    "health": ("GET", "services/echo/health", None, "view_service"),
    "logs": ("GET", "services/echo/logs", None, "view_service"),
    "counts": ("GET", "stats", None, "view_service"),
    "info": ("GET", "info", None, "view_service"),
    "register": ("POST", "services", NEW, "add_service"),
    "put": ("PUT", "services/echo", NEW | {"name": "echo"}, "change_service"),
    "patch": ("PATCH", "services/echo", {"weight": 2}, "change_service"),
    "unregister": ("DELETE", "services/echo", None, "delete_service"),
    "start": ("POST", "services/echo/start", None, "control_service"),
    "stop": ("POST", "services/echo/stop", None, "control_service"),
    "restart": ("POST", "services/echo/restart", None, "control_service"),
}
PERMISSIONS = {permission for *_, permission in ACTIONS.values()}

Action = tuple[str, str, Any, str]


@pytest.fixture(params=ACTIONS.values(), ids=ACTIONS)
def action(request: pytest.FixtureRequest, echo: Service, supervisor: Supervisor) -> Action:
    given: Action = request.param
    return given


def status(client: Client, action: Action) -> int:
    answer = client.ask(*action[:3])
    if answer.status >= 400:
        assert answer.code in ("not_authenticated", "permission_denied", "csrf_failed")
    return answer.status


def test_an_open_site_asks_a_program_on_this_machine_for_no_login(action: Action) -> None:
    assert status(Client(), action) in (200, 201, 202)


@pytest.mark.parametrize(
    "client",
    [
        Client(peer="192.0.2.7", server="192.0.2.1", host="192.0.2.1:8000"),
        Client(peer="192.0.2.7"),
        Client(host="site.example"),
        Client(headers={"x-forwarded-for": "127.0.0.1"}),
        Client(headers={"forwarded": "for=127.0.0.1"}),
        Client(headers={"x-real-ip": "127.0.0.1"}),
        Client(headers={"via": "1.1 proxy"}),
    ],
    ids=["a network", "a peer", "a name", "a proxy", "forwarded", "nginx", "via"],
)
def test_whoever_comes_from_elsewhere_needs_a_login(client: Client, echo: Service) -> None:
    for action in ACTIONS.values():
        assert status(client, action) == 401
        assert "www-authenticate" in client.ask(*action[:3]).headers


def test_a_closed_site_asks_everybody(settings: Any, echo: Service) -> None:
    settings.MYAGENT_AUTH = "token"
    for action in ACTIONS.values():
        assert status(Client(), action) == 401


def test_the_permission_for_it_is_enough(staff: StaffClient, action: Action) -> None:
    assert status(staff(action[3]), action) in (200, 201, 202)


def test_all_other_permissions_are_not_and_the_missing_one_is_named(
    staff: StaffClient, action: Action
) -> None:
    client = staff(*(PERMISSIONS - {action[3]}))
    assert status(client, action) == 403
    name = Permission.objects.get(codename=action[3]).name
    said = f"You need the permission '{name}' (services.{action[3]})."
    assert client.ask(*action[:3]).json["detail"] == said
    assert not LogEntry.objects.exists()


def test_a_user_who_is_no_staff_may_nothing(staff: StaffClient, echo: Service) -> None:
    client = staff(*PERMISSIONS, is_staff=False)
    for action in ACTIONS.values():
        assert status(client, action) == 403
        said = client.ask(*action[:3]).json["detail"]
        assert said.startswith("You need a staff account and the permission '")


def test_a_login_that_was_made_inactive_is_none(staff: StaffClient, echo: Service) -> None:
    client = staff(*PERMISSIONS)
    User.objects.update(is_active=False)
    for action in ACTIONS.values():
        assert status(client, action) == 401


CHANGES = [action for action in ACTIONS.values() if action[0] != "GET"]


class TestForgery:
    """A page of another site can't use somebody's login."""

    @pytest.mark.parametrize("token", ["", "d" * 32, "x"])
    def test_without_the_token_of_the_site_it_is_refused(
        self, staff: StaffClient, echo: Service, token: str
    ) -> None:
        client = staff(*PERMISSIONS)
        client.headers["x-csrftoken"] = token
        for action in CHANGES:
            answer = client.ask(*action[:3])
            assert (answer.status, answer.code) == (403, "csrf_failed")

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000"])
    def test_another_origin_is_refused_whatever_it_brings(
        self, staff: StaffClient, echo: Service, origin: str
    ) -> None:
        for client in (staff(*PERMISSIONS), Client()):
            client.headers["origin"] = origin
            for action in CHANGES:
                assert client.ask(*action[:3]).status == 403

    def test_a_login_on_an_open_site_is_protected_as_well(
        self, staff: StaffClient, echo: Service
    ) -> None:
        client = Client(headers={"cookie": staff(*PERMISSIONS).headers["cookie"]})
        for action in CHANGES:
            assert status(client, action) == 403

    @pytest.mark.parametrize(
        "kind",
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"],
    )
    def test_what_a_form_can_send_is_refused(
        self, staff: StaffClient, echo: Service, supervisor: Supervisor, kind: str
    ) -> None:
        for client in (staff(*PERMISSIONS), Client()):
            for action in CHANGES:
                for body in (b"", b"{}", b"csrfmiddlewaretoken=x"):
                    answer = client.ask(*action[:2], body, content_type=kind)
                    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def test_what_a_person_does_is_in_the_history(
    staff: StaffClient, supervisor: Supervisor, echo: Service
) -> None:
    client = staff(*PERMISSIONS)
    assert client.post("services", NEW).status == 201
    assert client.patch("services/new", {"weight": 2}).status == 200
    for verb in ("start", "restart", "stop"):
        assert client.post(f"services/new/{verb}").status == 202
    assert client.delete("services/new").status == 202
    notes = LogEntry.objects.order_by("pk")
    assert {note.user.get_username() for note in notes} == {"ada"}
    assert {note.object_repr for note in notes} == {"new"}
    assert {note.object_id for note in notes} == {Service.objects.get(name="new").pk}
    flags = [note.action_flag for note in notes]
    assert flags == [ADDITION, CHANGE, CHANGE, CHANGE, CHANGE, DELETION]
    assert len({note.change_message for note in notes}) == 6


def test_the_query_of_an_address_is_for_those_who_may_change_it(staff: StaffClient) -> None:
    registry.register(name="far", url="wss://far.example/ws?key=secret")
    viewer, editor = staff("view_service"), staff("view_service", "change_service", name="eve")
    for client, shown in ((viewer, "…"), (editor, "secret")):
        url = f"wss://far.example/ws?key={shown}"
        assert client.get("services/far").json["url"] == url
        assert [each["url"] for each in client.get("services").json["items"]] == [url]


def test_what_is_refused_is_not_in_the_history(staff: StaffClient, echo: Service) -> None:
    client = staff(*PERMISSIONS)
    assert client.post("services/echo/start").status == 503
    assert client.patch("services/echo", {"port": 0}).status == 400
    assert not LogEntry.objects.exists()


def test_nothing_is_noted_of_nobody(client: Client, echo: Service) -> None:
    assert client.patch("services/echo", {"weight": 2}).status == 200
    assert not LogEntry.objects.exists()
