"""Whom a token or a login stands for: decided in a few queries, however many clients there are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from agents.principals import Principal
from services.catalogue import registry
from services.tokens import issuing, judging
from services.tokens.judging import Denial, Proof, judge, proof_of_session, proof_of_token
from services.tokens.models import Token

pytestmark = pytest.mark.django_db


def user_who_may(*codenames: str, name: str = "ada", **facts: Any) -> User:
    user = User.objects.create_user(name, **facts)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def ada() -> User:
    return user_who_may("use_service")


def proof(text: str) -> Proof:
    found = proof_of_token(text)
    assert found is not None
    return found


def judged(text: str) -> Any:
    return judge([proof(text)])[proof(text)]


def login_of(user: User) -> Proof:
    client = Client()
    client.force_login(user)
    found = proof_of_session(client.cookies["myagent_session"].value)
    assert found is not None
    return found


def test_a_token_stands_for_its_user(ada: User) -> None:
    _, text = issuing.issue(ada, "ci")
    assert judged(text) == Principal(f"user:{ada.pk}", "ada")


def test_only_a_hash_of_it_is_kept(ada: User) -> None:
    token, text = issuing.issue(ada, "ci")
    kept = Token.objects.filter(pk=token.pk).values().get()
    assert not any(text in str(value) for value in kept.values())


def test_a_wrong_token_stands_for_nobody_and_costs_one_query(
    ada: User, django_assert_num_queries: Any
) -> None:
    _, text = issuing.issue(ada, "ci")
    wrong = text[:-1] + ("0" if text[-1] != "0" else "1")
    with django_assert_num_queries(1):
        assert judged(wrong) is Denial.UNKNOWN


@pytest.mark.parametrize("text", ["", "x", "myagent_", "myagent_" + "g" * 64, "0" * 64])
def test_what_can_not_be_a_token_is_not_looked_up(text: str) -> None:
    assert proof_of_token(text) is None


def test_an_expired_token_stands_for_nobody(ada: User) -> None:
    token, text = issuing.issue(ada, "ci", expires=timedelta(hours=1))
    assert isinstance(judged(text), Principal)
    Token.objects.filter(pk=token.pk).update(expiry=timezone.now())
    assert judged(text) is Denial.UNKNOWN
    assert judging.find(text) is None


def test_a_revoked_token_stands_for_nobody(ada: User) -> None:
    token, text = issuing.issue(ada, "ci")
    assert issuing.revoke(Token.objects.filter(pk=token.pk)) == 1
    assert judged(text) is Denial.UNKNOWN
    assert judging.find(text) is None


def test_nothing_stands_for_a_user_who_was_made_inactive(ada: User) -> None:
    _, text = issuing.issue(ada, "ci")
    login = login_of(ada)
    User.objects.update(is_active=False)
    assert set(judge([proof(text), login]).values()) == {Denial.UNKNOWN}


def test_a_login_stands_for_its_user_until_the_password_changes(ada: User) -> None:
    login = login_of(ada)
    assert judge([login])[login] == Principal(f"user:{ada.pk}", "ada")
    ada.set_password("another one")
    ada.save()
    assert judge([login])[login] is Denial.UNKNOWN


def test_a_login_outlives_a_change_of_the_secret_key_while_the_former_is_accepted(
    ada: User, settings: Any
) -> None:
    login, former = login_of(ada), settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another one", [former]
    assert judge([login])[login] == Principal(f"user:{ada.pk}", "ada")
    settings.SECRET_KEY_FALLBACKS = []
    assert judge([login])[login] is Denial.UNKNOWN


def test_agents_are_for_those_with_the_permission_and_tokens_with_the_right(ada: User) -> None:
    _, viewing = issuing.issue(ada, "watch", rights=["view"])
    _, of_bob = issuing.issue(user_who_may("view_service", name="bob"), "ci")
    assert judged(viewing) is Denial.MAY_NOT_USE
    assert judged(of_bob) is Denial.MAY_NOT_USE


def test_only_a_token_that_may_view_sees_what_its_user_sees() -> None:
    root = User.objects.create_superuser("root")
    _, using = issuing.issue(root, "use", rights=["use"])
    _, everything = issuing.issue(root, "all")
    assert not judged(using).sees_everything
    assert judged(everything).sees_everything


def test_only_a_token_that_may_control_acts_in_the_conversations_of_others() -> None:
    root = User.objects.create_superuser("root")
    _, viewing = issuing.issue(root, "look", rights=["use", "view"])
    _, everything = issuing.issue(root, "all")
    assert not judged(viewing).acts_everywhere
    assert judged(everything).acts_everywhere


def test_a_page_for_staff_is_for_logins_of_staff_with_the_permission() -> None:
    viewer = user_who_may("view_service", name="bob")
    viewer.is_staff = True
    viewer.save()
    guest, other = login_of(user_who_may("view_service", name="eve")), login_of(viewer)
    assert judging.staff_logins({guest, other}, "services.view_service") == {other}
    assert judging.staff_logins({other}, "services.control_service") == set()
    User.objects.update(is_active=False)
    assert judging.staff_logins({other}, "services.view_service") == set()


def test_a_bound_token_names_its_services(ada: User) -> None:
    registry.register(name="echo", url="ws://echo.example/")
    _, text = issuing.issue(ada, "ci", services=["echo"])
    assert judged(text).services == frozenset({"echo"})


def test_last_used_is_written_at_most_once_a_minute(
    ada: User, django_assert_num_queries: Any
) -> None:
    token, text = issuing.issue(ada, "ci")
    judged(text)
    first = Token.objects.get(pk=token.pk).last_used
    assert first is not None
    with django_assert_num_queries(3):
        judged(text)
    assert Token.objects.get(pk=token.pk).last_used == first
    Token.objects.filter(pk=token.pk).update(last_used=first - timedelta(minutes=2))
    judged(text)
    assert Token.objects.get(pk=token.pk).last_used >= first


def test_many_clients_are_judged_together(ada: User, django_assert_max_num_queries: Any) -> None:
    texts = [issuing.issue(ada, f"ci {number}")[1] for number in range(50)]
    proofs = [*map(proof, texts), login_of(ada)]
    with django_assert_max_num_queries(6):
        verdicts = judge(proofs)
    assert len(verdicts) == 51
    assert all(isinstance(verdict, Principal) for verdict in verdicts.values())
