"""What the commands have in common: `--db-path`, and running a command of the site."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from myagent.manager.cli.missing import how_to_install
from myagent.manager.database import sqlite_url
from myagent.manager.errors import WrongSettings
from myagent.sentence import Sentence

T = TypeVar("T")

OPTION = "--db-path"
USAGE_ERROR = 2


def use_database(arguments: list[str]) -> list[str]:
    """Makes the file that `--db-path` names, wherever it stands, the site's database.

    The arguments without it. Whatever is started from here uses it too. May
    raise `SystemExit`.
    """
    rest: list[str] = []
    given = iter(arguments)
    for argument in given:
        name, equals, path = argument.partition("=")
        if name != OPTION:
            rest.append(argument)
            continue
        if not (path := path if equals else next(given, "")):
            needs = Sentence("{option} needs the path of an SQLite file.", option=OPTION)
            sys.stderr.write(f"{said(needs)}\n")
            sys.exit(USAGE_ERROR)
        # Settings read the environment, and so do the processes that are started.
        try:
            os.environ["DATABASE_URL"] = sqlite_url(path)
        except WrongSettings as error:
            sys.exit(f"{OPTION}: {said(error.args[0])}")
    return rest


def run(program: str, command: str, arguments: list[str]) -> None:
    """The site's command; its help calls it `program`. May raise `SystemExit`."""

    def find() -> Any:
        from django.core.management import ManagementUtility

        return ManagementUtility([program]).fetch_command(command)

    _run(program, find, arguments)


def run_class(program: str, place: str, arguments: list[str]) -> None:
    """The same for a command that `manage.py` does not have. `place`: the class, dotted."""

    def find() -> Any:
        from django.utils.module_loading import import_string

        return import_string(place)()

    _run(program, find, arguments)


def _run(program: str, find: Callable[[], Any], arguments: list[str]) -> None:
    from agents.runtime.garbage import collect_less, leave_to_system

    collect_less()
    leave_to_system()
    _set_up()
    first, _, last = program.rpartition(" ")
    _or_how_to_install(find).run_from_argv([first, last, *arguments])


def said(text: str) -> str:
    """What these commands say themselves, in the terminal's language. May raise `SystemExit`."""
    from agents.terminal import language

    if not isinstance(text, Sentence) or language.is_english(language.tags(os.environ)):
        return text
    # Nobody who reads English waits for the site to be loaded.
    _set_up()
    from agents.terminal.command import in_language_of_terminal, told

    with in_language_of_terminal():
        return told(text)


def _set_up() -> None:
    # The SDK knows no Django: only these commands, which sit on top of the site, need it.
    from agents.terminal.encoding import accept_any_text

    accept_any_text()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myagent_site.settings")
    _or_how_to_install(_load_site)


def _load_site() -> None:
    import django
    from django.core.exceptions import ImproperlyConfigured

    from agents.runtime.imports import import_structlog

    import_structlog()
    try:
        django.setup()
    except ImproperlyConfigured as error:
        sys.exit(f"The settings are wrong: {error}")


def _or_how_to_install(work: Callable[[], T]) -> T:
    """May raise `SystemExit`."""
    try:
        return work()
    except ModuleNotFoundError as error:
        sys.exit(how_to_install(error))
