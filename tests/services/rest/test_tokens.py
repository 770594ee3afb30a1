"""Tokens over REST: made by who is logged in, shown once; and what they open there."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from agents.models import Session
from services.catalogue import registry
from services.models import Service
from services.tokens import issuing
from services.tokens.models import Token

from .client import API, Client
from .conftest import StaffClient


@pytest.fixture(autouse=True)
def closed(settings: Any) -> None:
    settings.MYAGENT_AUTH = "token"


def with_token(*permissions: str, staff: StaffClient, **limits: Any) -> Client:
    staff(*permissions)
    _, text = issuing.issue(User.objects.get(username="ada"), "ci", **limits)
    return Client(headers={"authorization": f"Bearer {text}"})


def test_a_token_is_shown_once_and_opens_what_its_user_may(
    staff: StaffClient, echo: Service
) -> None:
    login = staff("view_service")
    made = login.post(f"{API}/tokens", {"name": "ci", "expires_in": 3600})
    assert made.status == 201
    assert made.json["rights"] == ["use", "view", "control", "edit"]
    listed = login.get(f"{API}/tokens").json
    assert [token["name"] for token in listed["items"]] == ["ci"]
    assert made.json["token"] not in str(listed)
    client = Client(headers={"authorization": f"Bearer {made.json['token']}"})
    assert [each["name"] for each in client.get(f"{API}/services").json["items"]] == ["echo"]
    assert client.post(f"{API}/services/{echo.pk}/start").status == 403
    assert login.delete(f"{API}/tokens/{made.json['id']}").status == 204
    refused = client.get(f"{API}/services")
    assert (refused.status, refused.code) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "right, allowed",
    [("use", set()), ("view", {"list"}), ("control", {"start"}), ("edit", {"change"})],
)
def test_the_rights_of_a_token_narrow_its_users(
    staff: StaffClient, echo: Service, supervisor: Any, right: str, allowed: set[str]
) -> None:
    everything = ("use_service", "view_service", "control_service", "change_service")
    client = with_token(*everything, staff=staff, rights=[right])
    answers = {
        "list": client.get(f"{API}/services"),
        "start": client.post(f"{API}/services/{echo.pk}/start"),
        "change": client.patch(f"{API}/services/{echo.pk}", {"description": "new"}),
    }
    assert {name for name, answer in answers.items() if answer.status < 300} == allowed
    assert {answer.status for answer in answers.values() if answer.status >= 300} <= {403}


def test_a_bound_token_reaches_its_own_services_only(
    staff: StaffClient, echo: Service, external: Service
) -> None:
    client = with_token("view_service", "add_service", staff=staff, services=["echo"])
    assert [each["name"] for each in client.get(f"{API}/services").json["items"]] == ["echo"]
    assert client.get(f"{API}/services/{echo.pk}").status == 200
    assert client.get(f"{API}/services/echo").status == 200
    assert client.get(f"{API}/services/{external.pk}").status == 403
    assert client.get(f"{API}/stats").status == 403
    assert client.post(f"{API}/services", {"name": "new", "url": "ws://new.example/"}).status == 403


def test_a_token_makes_shows_and_revokes_no_tokens(staff: StaffClient) -> None:
    client = with_token(staff=staff)
    token = Token.objects.get()
    assert client.post(f"{API}/tokens", {"name": "another"}).status == 403
    assert client.get(f"{API}/tokens").status == 403
    assert client.delete(f"{API}/tokens/{token.pk}").status == 403
    assert Token.objects.count() == 1


def test_people_see_and_revoke_their_own_and_a_superuser_all(staff: StaffClient) -> None:
    ada, bob = staff(name="ada"), staff(name="bob")
    root = staff(name="root", is_superuser=True)
    made = ada.post(f"{API}/tokens", {"name": "ci"}).json["id"]
    assert bob.get(f"{API}/tokens").json["items"] == []
    assert bob.delete(f"{API}/tokens/{made}").status == 404
    assert bob.post(f"{API}/tokens", {"name": "as ada", "user": "ada"}).status == 400
    assert [token["id"] for token in root.get(f"{API}/tokens").json["items"]] == [made]
    assert root.delete(f"{API}/tokens/{made}").status == 204
    assert root.delete(f"{API}/tokens/{made}").status == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": " "},
        {"name": "x" * 101},
        {"name": "x", "rights": ["fly"]},
        {"name": "x", "services": ["nowhere"]},
        {"name": "x", "expires_in": 0},
        {"name": "x", "expires_in": 10**12},
    ],
)
def test_what_can_not_be_a_token_is_refused_with_a_sentence(
    staff: StaffClient, body: dict[str, Any]
) -> None:
    refused = staff().post(f"{API}/tokens", body)
    assert refused.status == 400
    assert refused.code == "invalid"
    assert not Token.objects.exists()


def test_who_is_not_logged_in_gets_none(transactional_db: None) -> None:
    assert Client().post(f"{API}/tokens", {"name": "x"}).status == 401
    assert Client(headers={"authorization": "Bearer myagent_x"}).get(f"{API}/tokens").status == 401


def test_where_nobody_has_to_log_in_the_header_is_not_read(
    settings: Any, transactional_db: None
) -> None:
    settings.MYAGENT_AUTH = "open"
    registry.register(name="billing", url="ws://billing.example/")
    client = Client(headers={"authorization": "Bearer sk-of-something-else"})
    assert client.get(f"{API}/services").json["total"] == 1


def test_a_token_reaches_conversations_of_its_own_services_alone(
    staff: StaffClient, echo: Service
) -> None:
    client = with_token("use_service", staff=staff, services=["echo"])
    key = f"user:{User.objects.get(username='ada').pk}"
    for number, service in enumerate(("echo", "billing"), 1):
        now = timezone.now()
        Session.objects.create(
            pk=f"{number:036}", service=service, principal=key, created_at=now, updated_at=now
        )
    assert [each["service"] for each in client.get(f"{API}/sessions").json["items"]] == ["echo"]
    assert client.get(f"{API}/sessions/{1:036}").status == 200
    assert client.get(f"{API}/sessions/{2:036}").status == 403


def test_a_token_that_may_not_use_agents_reaches_no_conversations(staff: StaffClient) -> None:
    client = with_token("use_service", "view_service", staff=staff, rights=["view"])
    assert client.get(f"{API}/sessions").status == 403


def test_where_nobody_has_to_log_in_a_program_makes_shows_and_revokes_no_tokens(
    staff: StaffClient, settings: Any
) -> None:
    staff()
    token, _ = issuing.issue(User.objects.get(username="ada"), "ci")
    settings.MYAGENT_AUTH = "open"
    program = Client()
    assert program.get(f"{API}/services").status == 200
    assert program.get(f"{API}/tokens").status == 401
    assert program.post(f"{API}/tokens", {"name": "mine", "user": "ada"}).status == 401
    assert program.delete(f"{API}/tokens/{token.pk}").status == 401
    assert [each.name for each in Token.objects.all()] == ["ci"]


def test_a_token_reaches_the_rules_unless_it_is_bound_to_services(
    staff: StaffClient, echo: Service
) -> None:
    rights = ("view_routingrule", "add_routingrule", "delete_routingrule")
    client = with_token(*rights, staff=staff)
    rule = {"name": "echo", "target_strategy": "round_robin", "target_services": ["echo"]}
    made = client.post(f"{API}/routing/rules", rule)
    assert made.status == 201
    assert client.get(f"{API}/routing/rules").json["total"] == 1
    _, text = issuing.issue(User.objects.get(username="ada"), "bound", services=["echo"])
    bound = Client(headers={"authorization": f"Bearer {text}"})
    # The rule has the service's name.
    for request in (bound.get, bound.delete):
        assert request(f"{API}/routing/rules/echo").status == 403
    assert bound.get(f"{API}/routing/rules").status == 403
    assert client.delete(f"{API}/routing/rules/{made.json['rule_id']}").status == 204
