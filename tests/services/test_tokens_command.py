"""`manage.py tokens`: what it prints, and what it refuses."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.utils import timezone

from services.models import Service
from services.tokens import judging
from services.tokens.models import Token

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def ada(settings: Any, tmp_path: Any) -> User:
    settings.VAR_DIR = tmp_path
    return User.objects.create_superuser("ada")


def run(*words: str, errors: io.StringIO | None = None) -> str:
    out = io.StringIO()
    call_command("tokens", *words, stdout=out, stderr=errors or io.StringIO(), no_color=True)
    return out.getvalue()


def test_a_token_is_printed_once_listed_without_itself_and_revoked() -> None:
    text = run("create", "ci", "--rights", "use,view", "--expires", "30d").strip()
    assert judging.find(text) is not None
    listed = run("list", "--json")
    assert text not in listed
    (token,) = json.loads(listed)
    assert (token["name"], token["user"], token["rights"]) == ("ci", "ada", ["use", "view"])
    assert token["id"] in run("list")
    run("revoke", token["id"])
    assert judging.find(text) is None
    assert json.loads(run("list", "--json")) == []


def test_the_list_shows_what_each_is_good_for_until_when_and_its_last_use() -> None:
    Service.objects.create(name="weather", agent_factory_path="a.py")
    run("create", "ci", "--rights", "use,view", "--services", "weather", "--expires", "30d")
    text = run("create", "all").strip()
    Token.objects.filter(name="ci").update(expiry=timezone.now() - timedelta(seconds=1))
    assert judging.find(text) is not None
    head, newest, oldest = (line.split("\t") for line in run("list").splitlines())
    assert head[1:7] == ["name", "user", "rights", "services", "expires", "last used"]
    assert newest[1:6] == ["all", "ada", "use, view, control, edit", "all", "never"]
    assert newest[6].startswith(str(timezone.now().year))
    assert oldest[1:7] == ["ci", "ada", "use, view", "weather", "expired", "never"]


def test_whoever_makes_a_token_for_an_account_that_may_not_is_warned() -> None:
    bob = User.objects.create_user("bob")
    said = io.StringIO()
    text = run("create", "ci", "--user", "bob", "--rights", "use,control", errors=said).strip()
    assert judging.find(text) is not None
    assert said.getvalue().splitlines()[:3] == [
        "Warning: 'use' has no effect: bob needs the permission 'Can use the agents of services' "
        "(services.use_service).",
        "Warning: 'control' has no effect: bob needs a staff account and the permission "
        "'Can start, stop and restart services' (services.control_service).",
        "Warning: That can be granted in the admin, under Users, bob; the token can stay as it is.",
    ]
    bob.user_permissions.add(Permission.objects.get(codename="use_service"))
    for words in (("--user", "bob"), ("--user", "bob", "--rights", "use"), ("--user", "ada")):
        said = io.StringIO()
        run("create", "ci", *words, errors=said)
        assert "Warning" not in said.getvalue()


@pytest.mark.parametrize(
    "words",
    [
        ("create", "ci", "--user", "nobody"),
        ("create", "ci", "--rights", "fly"),
        ("create", "ci", "--services", "nowhere"),
        ("create", "ci", "--services", ","),
        ("create", "ci", "--rights", ""),
        ("create", "ci", "--expires", "soon"),
        ("create", "ci", "--expires", "0d"),
        ("create", " "),
        ("revoke", "nothing"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"\.$"):
        run(*words)
    assert json.loads(run("list", "--json")) == []


def test_of_two_superusers_one_must_be_named() -> None:
    User.objects.create_superuser("bob")
    with pytest.raises(CommandError, match="--user"):
        run("create", "ci")
    assert run("create", "ci", "--user", "bob")
