"""Chooses the database: an explicit URL, else the `MYSQL_*` variables, else an SQLite file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

EMBEDDED_FILE = "agent_manager.db"

SQLITE_OPTIONS = {
    # Writers queue at BEGIN instead of failing when a read turns into a write.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    # FULL: accepted messages survive a power failure.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
}

MYSQL_OPTIONS = {
    "charset": "utf8mb4",
    "isolation_level": "read committed",
    # In seconds. A process that stands still within a transaction, frozen or cut off, loses the
    # transaction with its locks. MySQL has no such limit (the comment is for MariaDB alone), so
    # there a frozen process keeps its locks. A wait for a lock lasts longer than that limit, and
    # ends before the read time-out below.
    #
    # MySQL tells the driver that it commits by itself, even where the operator set it otherwise.
    # The driver would believe it, and nothing outside of a transaction would ever be committed.
    "init_command": "SET autocommit=1, time_zone='+00:00', sql_mode='STRICT_TRANS_TABLES', "
    "sql_safe_updates=0, innodb_lock_wait_timeout=15 /*M!100300 , idle_transaction_timeout=10 */",
    # The rows of a commit are sent together, see `agents.log.bulk`.
    "multi_statements": True,
    "connect_timeout": 5,
    "read_timeout": 30,
    "write_timeout": 30,
}

TLS_FILES = ("ca", "cert", "key")
"""An address may name them as `ssl_ca` and so on, beside the driver's own `ssl_mode`."""


def configuration(options: dict[str, Any], data_dir: Path) -> dict[str, Any]:
    """Django's settings of the default database. Raises `ImproperlyConfigured`."""
    if options["DATABASE_URL"]:
        settings = _named_by(options["DATABASE_URL"])
    elif options["MYSQL_HOST"] or options["MYSQL_DATABASE"]:
        settings = _mysql(options)
    else:
        settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(data_dir / EMBEDDED_FILE)}
    engine = settings["ENGINE"]
    if settings["NAME"] in ("", ":memory:"):
        raise ImproperlyConfigured("DATABASE_URL must name a database: it is kept, not in memory.")
    if engine == "django.db.backends.sqlite3":
        settings["OPTIONS"] = _sqlite_options() | settings.get("OPTIONS", {})
    if engine == "django.db.backends.mysql":
        if find_spec("MySQLdb") is None:
            raise ImproperlyConfigured(
                "MySQL needs the package mysqlclient: run scripts/bootstrap --production."
            )
        settings["OPTIONS"] = MYSQL_OPTIONS | _with_tls(settings.get("OPTIONS", {}))
        settings["OPTIONS"].setdefault("charset", options["MYSQL_CHARSET"])
    settings["CONN_MAX_AGE"] = 60
    settings["CONN_HEALTH_CHECKS"] = True
    return settings


def _named_by(url: str) -> dict[str, Any]:
    # No error shows the address: it may hold a password.
    if not url.startswith(("sqlite://", "mysql://")):
        raise ImproperlyConfigured(
            "DATABASE_URL must begin with sqlite:/// (and name a file) or with mysql://."
        )
    try:
        settings: dict[str, Any] = environ.Env.db_url_config(url)
    except ValueError:
        raise ImproperlyConfigured(
            "DATABASE_URL can't be read: its port must be a number up to 65535, and special "
            "characters in a password must be percent-encoded."
        ) from None
    return settings


def _sqlite_options() -> dict[str, Any]:
    # Other databases do without this import.
    from agents.runtime.private_file import PrivateConnection

    return SQLITE_OPTIONS | {"factory": PrivateConnection}


def _with_tls(options: dict[str, Any]) -> dict[str, Any]:
    """The files of TLS in one mapping, which is how the driver wants them."""
    named = {f"ssl_{kind}": kind for kind in TLS_FILES}
    files = {named[name]: value for name, value in options.items() if name in named}
    others = {name: value for name, value in options.items() if name not in named}
    return others | ({"ssl": files} if files else {})


def _mysql(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.mysql",
        "HOST": options["MYSQL_HOST"] or "127.0.0.1",
        "PORT": options["MYSQL_PORT"],
        "USER": options["MYSQL_USER"],
        "PASSWORD": options["MYSQL_PASSWORD"],
        "NAME": options["MYSQL_DATABASE"] or "myagent",
        "OPTIONS": {"charset": options["MYSQL_CHARSET"]},
    }
