"""`manage.py tokens`: what it prints, and what it refuses."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from services.tokens import judging

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def ada(settings: Any, tmp_path: Any) -> User:
    settings.VAR_DIR = tmp_path
    return User.objects.create_superuser("ada")


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("tokens", *words, stdout=out, stderr=io.StringIO())
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
