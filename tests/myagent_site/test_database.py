"""Which database the settings mean, and what they are told when they mean none."""

from __future__ import annotations

import os
import stat
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db.utils import ConnectionHandler

from myagent_site import database
from myagent_site.options import OPTIONS

DEFAULTS = {option.name: option.default for option in OPTIONS}


def configured(tmp_path: Path, **options: Any) -> dict[str, Any]:
    return database.configuration(DEFAULTS | options, tmp_path)


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("garbage", "begin with sqlite:///"),
        (" ", "begin with sqlite:///"),
        ("://", "begin with sqlite:///"),
        ("sqlite:site.db", "begin with sqlite:///"),
        ("postgres://user:hunter2@host/site", "begin with sqlite:///"),
        ("mysqll://user:hunter2@host/site", "begin with sqlite:///"),
        ("sqlite://", "name a database"),
        ("sqlite:///", "name a database"),
        ("sqlite:///:memory:", "name a database"),
        ("sqlite://:memory:", "name a database"),
        ("mysql://", "name a database"),
        ("mysql://user:hunter2@host", "name a database"),
        ("mysql://user:hunter2@host/", "name a database"),
        ("mysql://user:hunter2@host:port/site", "port"),
        ("mysql://user:hunter2@host:99999/site", "port"),
        ("mysql://user:pass:word@host:hunter2/site", "percent-encoded"),
    ],
)
def test_an_address_of_no_database_is_refused_without_showing_its_password(
    tmp_path: Path, url: str, part: str
) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        configured(tmp_path, DATABASE_URL=url)
    assert str(refusal.value).startswith("DATABASE_URL ")
    assert part in str(refusal.value)
    assert "hunter2" not in "".join(traceback.format_exception(refusal.value))


def test_an_address_names_the_files_of_tls(tmp_path: Path) -> None:
    pytest.importorskip("MySQLdb")
    url = (
        "mysql://user:secret@host/site?ssl_mode=VERIFY_IDENTITY&ssl_ca=/etc/ca.pem&charset=utf8mb4"
    )
    options = configured(tmp_path, DATABASE_URL=url)["OPTIONS"]
    assert options["ssl"] == {"ca": "/etc/ca.pem"}
    assert options["ssl_mode"] == "VERIFY_IDENTITY"
    assert not {"ssl_ca", "ssl_cert"} & options.keys()


def test_without_an_address_it_is_a_file_in_the_data_folder(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    assert settings["ENGINE"] == "django.db.backends.sqlite3"
    assert settings["NAME"] == str(tmp_path / "agent_manager.db")


def test_an_address_of_a_file_is_kept_and_durable(tmp_path: Path) -> None:
    settings = configured(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path / 'site.db'}")
    assert settings["NAME"] == str(tmp_path / "site.db")
    assert "synchronous=FULL" in settings["OPTIONS"]["init_command"]


@pytest.fixture
def generous() -> Iterator[None]:
    """New files may be read by everybody, as is usual."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def write_into(settings: dict[str, Any]) -> int:
    """The file's mode, once something was written with these settings."""
    django = ConnectionHandler({"default": settings})["default"]
    with closing(django.get_new_connection(django.get_connection_params())) as connection:
        connection.execute("CREATE TABLE t (x)")
        return stat.S_IMODE(Path(settings["NAME"]).stat().st_mode)


@pytest.mark.usefixtures("generous")
def test_a_new_file_is_for_its_owner_alone_whoever_makes_it(tmp_path: Path) -> None:
    assert write_into(configured(tmp_path)) == 0o600
    kept = tmp_path / "kept.db"
    kept.touch(mode=0o640)
    assert write_into(configured(tmp_path, DATABASE_URL=f"sqlite:///{kept}")) == 0o640
