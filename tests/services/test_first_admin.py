"""The first account: made once, by one process, and only where nobody has one."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest

from services.first_admin import ensure_admin

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def test_the_password_is_told_once_and_logs_in() -> None:
    password = ensure_admin()
    assert password is not None
    assert len(password) >= 16
    user = authenticate(HttpRequest(), username="admin", password=password)
    assert user is not None
    assert user.is_superuser
    assert ensure_admin() is None


def test_two_databases_full_of_nobody_get_different_passwords() -> None:
    first = ensure_admin()
    User.objects.all().delete()
    assert ensure_admin() != first


def test_where_somebody_may_log_in_already_nobody_is_added() -> None:
    User.objects.create_user("ann", is_staff=True)
    assert ensure_admin() is None
    assert User.objects.count() == 1


def test_an_ordinary_user_called_admin_is_not_made_a_chief() -> None:
    User.objects.create_user("admin", password="a password")
    assert ensure_admin() is None
    assert not User.objects.get().is_superuser


def test_of_two_at_once_one_makes_the_account() -> None:
    barrier = threading.Barrier(2)
    passwords: list[str | None] = []

    def ensure() -> None:
        barrier.wait(30)
        passwords.append(ensure_admin())
        connection.close()

    threads = [threading.Thread(target=ensure) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    told = [password for password in passwords if password is not None]
    assert len(passwords) == 2
    assert len(told) == 1
    assert authenticate(HttpRequest(), username="admin", password=told[0]) is not None
