"""What a test has committed is gone before the next one."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import TransactionTestCase

from tests.emptying import tables_with_rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def test_rows_are_gone_and_permissions_stay() -> None:
    everything = list(Permission.objects.values_list("pk", "codename"))
    ann = User.objects.create_user("ann")
    ann.groups.add(Group.objects.create(name="staff"))
    ann.user_permissions.add(Permission.objects.all()[0])
    assert {"auth_user", "auth_group", "auth_user_groups"} <= {*tables_with_rows(connection)}
    TransactionTestCase("__init__")._fixture_teardown()  # type: ignore[attr-defined]
    assert tables_with_rows(connection) == []
    assert list(Permission.objects.values_list("pk", "codename")) == everything != []


@pytest.mark.parametrize("time", ["first", "second"])
def test_no_test_sees_the_rows_of_another(time: str) -> None:
    assert not User.objects.exists()
    User.objects.create_user(time)
