"""Makes the database of a site of a backup. Synchronous."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from agents.models import Connection, Server, Session
from agents.ownership import servers
from agents.runtime import schema
from agents.runtime.migration_journal import MigrationJournal
from services.backups import contents, dump, mysql, sqlite
from services.backups.contents import Contents
from services.backups.files import is_of_sqlite, written_whole
from services.errors import Conflict, ServiceError
from services.models import Instance, Service, Supervisor

ACTING = ("trigger", "routine", "event")
"""What acts by itself in MySQL and MariaDB; `backup` writes none of these."""


def restore(path: Path) -> None:
    """Fills the site's database, which must be empty, and brings it up to date.

    Raises `ServiceError`.
    """
    database = settings.DATABASES["default"]
    if is_of_sqlite(path) != settings.IS_EMBEDDED:
        raise Conflict(
            "other_database",
            gettext_noop(
                "{path} is of another kind of database than the site's: SQLite's go to SQLite, "
                "those of MySQL and MariaDB to either of these."
            ),
            path=path,
        )
    if settings.IS_EMBEDDED:
        _copy(path, Path(database["NAME"]))
    else:
        _load(path)
    _refuse_newer()
    schema.apply_pending(settings.VAR_DIR)
    leave_processes_behind()


def _copy(path: Path, target: Path) -> None:
    for existing in (target, *(target.with_name(f"{target.name}-{end}") for end in ("wal", "shm"))):
        if existing.exists():
            raise Conflict(
                "not_empty",
                gettext_noop("{path} exists: stop the site, and move the file away first."),
                path=existing,
            )
    with written_whole(target) as draft:
        sqlite.copy(path, draft)
        contents.judge(sqlite.contents(draft), path)


def _load(path: Path) -> None:
    if connection.introspection.table_names():
        raise Conflict(
            "not_empty",
            gettext_noop(
                "The database has tables: restore into a new one (CREATE DATABASE … CHARACTER SET "
                "utf8mb4)."
            ),
        )
    dump.judge(path)
    connection.close()
    database = settings.DATABASES["default"]
    mysql.load(database, path)
    # Within a migration, tables come and go before it is recorded.
    if MigrationJournal(connection).exists():
        return
    try:
        contents.judge(_loaded(), path, may_have_more=True)
    except ServiceError as error:
        raise mysql.half_filled(database, path, error) from error


def _loaded() -> Contents:
    acting = []
    with connection.cursor() as cursor:
        for kind in ACTING:
            cursor.execute(
                f"SELECT {kind}_name FROM information_schema.{kind}s "
                f"WHERE {kind}_schema = DATABASE()"
            )
            acting += [f"{kind} {name}" for (name,) in cursor.fetchall()]
    migrations = MigrationRecorder(connection).applied_migrations()
    return Contents(connection.introspection.table_names(), migrations, acting)


def _refuse_newer() -> None:
    if unknown := schema.unknown_migrations(connection):
        raise ServiceError(
            "newer",
            gettext_noop(
                "The backup is of a newer version ({migrations}): serve the restored database with "
                "that version, or empty it again."
            ),
            migrations=", ".join(unknown[:3]),
        )


def leave_processes_behind() -> None:
    """Ends what the database says is running: it runs for the site that was copied, if at all.

    Else a supervisor would take that site's workers for its own. What should run stays.
    """
    with transaction.atomic():
        Connection.objects.all().delete()
        Session.objects.filter(owner__isnull=False).update(owner=None)
        servers.note_left(Server.objects.filter(ended_at__isnull=True))
        Supervisor.objects.all().delete()
        Instance.objects.filter(live_slot__isnull=False).update(
            live_slot=None, state=Instance.State.STOPPED, ended_at=Now()
        )
        wanted = Service.objects.filter(desired=Service.Desired.RUNNING)
        wanted.update(status=Service.Status.STARTING, error_message="")
