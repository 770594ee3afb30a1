"""Makes a backup of the database while the site serves. Synchronous."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_noop

from services.backups import mysql, sqlite
from services.backups.files import written_whole
from services.errors import ServiceError


def make(path: Path) -> int:
    """Writes the file, and returns its size in bytes. Raises `ServiceError`."""
    database = settings.DATABASES["default"]
    if settings.IS_EMBEDDED and not Path(database["NAME"]).is_file():
        raise ServiceError(
            "no_database", gettext_noop("There is no database yet: {path}."), path=database["NAME"]
        )
    with written_whole(path) as draft:
        if settings.IS_EMBEDDED:
            sqlite.copy(Path(database["NAME"]), draft)
        else:
            mysql.dump(database, draft)
    return path.stat().st_size
