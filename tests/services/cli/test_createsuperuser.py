"""`createsuperuser` makes the first account, also on a site that nobody has started yet."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.managed_site import ManagedSite

pytestmark = pytest.mark.processes


@pytest.mark.both_databases
def test_the_first_account_of_a_new_site_is_made_before_anything_else(
    empty_database_url: str, tmp_path: Path
) -> None:
    site = ManagedSite(empty_database_url, tmp_path)
    given = ("--username", "ada", "--email", "ada@example.com", "--noinput")
    said = site.manage("createsuperuser", *given)
    assert said == "Superuser created successfully.\n"
    assert site.query("SELECT username, is_superuser FROM auth_user") == [("ada", 1)]
    if empty_database_url.startswith("sqlite"):
        file = Path(empty_database_url.removeprefix("sqlite:///"))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "already taken" in site.manage("createsuperuser", *given, expect=1)


def test_a_database_that_can_not_be_used_is_a_sentence(tmp_path: Path) -> None:
    site = ManagedSite(f"sqlite:///{tmp_path / 'gone' / 'site.db'}", tmp_path)
    said = site.manage("createsuperuser", "--username", "ada", "--noinput", expect=1)
    reason = f"unable to open database file. There is no folder {tmp_path / 'gone'}."
    assert said == f"The database can't be used: {reason}\n"
