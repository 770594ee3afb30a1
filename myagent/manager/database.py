"""Chooses this process's one database, before Django reads its settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from myagent.manager.errors import WrongSettings, plain_errors
from myagent.manager.tree import find_site
from myagent.sentence import Sentence

SETTINGS = "DJANGO_SETTINGS_MODULE"


def use_database(path: str | os.PathLike[str] | None) -> None:
    """Makes the SQLite file the database of this process, and of all that it starts.

    None: the one that the settings name. Raises `WrongSettings`, also if the
    process uses another already.
    """
    if taken := find_site():
        raise WrongSettings(
            f"This program has imported a package {taken!r} that is not the site's, which has one "
            "of that name too. Use the manager in a process of its own."
        )
    from django.conf import settings

    variables = {}
    if not settings.configured:
        variables = {SETTINGS: os.environ.get(SETTINGS, "myagent_site.settings")}
        variables |= {} if path is None else {"DATABASE_URL": sqlite_url(path)}
    with plain_errors(), _environment(variables):
        _refuse_others(settings, path)


def _refuse_others(settings: Any, path: str | os.PathLike[str] | None) -> None:
    """Reads the settings, unless that was done before."""
    if "services" not in (app.partition(".")[0] for app in settings.INSTALLED_APPS):
        raise WrongSettings(
            "Django runs with the settings of another project here. Use a process of its own, "
            f"in which {SETTINGS} is not set."
        )
    if path is not None and not _is_file(settings.DATABASES["default"], Path(path)):
        raise WrongSettings(
            f"This process uses another database than {path} already: one process, one database."
        )


def set_up() -> None:
    """Loads the site's apps. Raises `WrongSettings`."""
    import django
    from django.core.checks import run_checks

    from agents.checks import TAG
    from agents.runtime import logs

    logs.hand_over()
    django.setup()
    if errors := [error for error in run_checks(tags=[TAG]) if error.is_serious()]:
        raise WrongSettings(" ".join(str(error.msg) for error in errors))


def sqlite_url(path: str | os.PathLike[str]) -> str:
    """Relative paths mean the folder in which the program is now. Raises `WrongSettings`."""
    name = os.fspath(path)
    if name == ":memory:" or "\0" in name:
        raise WrongSettings(
            Sentence("The database must be a file: it is shared with the services.")
        )
    file = Path(name).expanduser().absolute()
    if not file.parent.is_dir():
        raise WrongSettings(Sentence("There is no folder {folder}.", folder=file.parent))
    if file.is_dir():
        raise WrongSettings(Sentence("{file} is a folder, not an SQLite file.", file=file))
    return f"sqlite:///{quote(os.fsencode(file))}"


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Settings read it, and so do processes that are started; as before if that fails."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    except BaseException:
        for name in variables:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]
        raise


def _is_file(database: dict[str, Any], path: Path) -> bool:
    if database["ENGINE"] != "django.db.backends.sqlite3":
        return False
    return Path(database["NAME"]).resolve() == path.expanduser().resolve()
