"""Tokens in the admin: seen by who may, revoked by who may, made and changed by nobody."""

from __future__ import annotations

from django.contrib.auth.models import User

from services.tokens import issuing
from services.tokens.models import Token

from .conftest import Person

LIST = "/admin/tokens/token/"


def test_who_may_delete_tokens_revokes_them_and_who_may_look_does_not(person: Person) -> None:
    ada = User.objects.create_user("ada")
    token, text = issuing.issue(ada, "ci")
    revoking = {"action": "revoke", "_selected_action": [token.pk]}
    looking = person("view_token")
    page = looking.get(LIST).content.decode()
    assert "ci" in page
    assert text not in page and token.digest not in page
    looking.post(LIST, revoking)
    assert Token.objects.exists()
    assert person("view_token", "delete_token", name="eve").post(LIST, revoking).status_code == 302
    assert not Token.objects.exists()


def test_nobody_makes_or_changes_one_there(person: Person) -> None:
    token, _ = issuing.issue(User.objects.create_user("ada"), "ci")
    client = person("view_token", "add_token", "change_token", name="eve")
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{token.pk}/change/", {"name": "new"}).status_code == 403
    assert Token.objects.get().name == "ci"


def test_without_the_permission_there_is_no_list(person: Person) -> None:
    assert person("view_service").get(LIST).status_code == 403
