"""Commands that use the language of the terminal in which they are run."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import AbstractContextManager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser, SystemCheckError
from django.db import Error as DatabaseFailure
from django.utils import translation
from django.utils.translation import gettext

from agents.runtime import logs, sentry
from agents.runtime.explaining import explain_to_reader
from agents.runtime.listening import is_loopback
from agents.terminal import language
from agents.terminal.inert import readable
from myagent.sentence import Sentence


def wanted() -> list[str]:
    """The language tags of the terminal; see `language.tags`."""
    return language.tags(os.environ, getattr(sys.stdout, "encoding", None) or "utf-8")


def in_language_of_terminal() -> AbstractContextManager[None]:
    tags = wanted()
    if language.is_english(tags):
        return translation.override("en")
    # Imported here, so that not every command waits for its imports.
    from agents.sentences import choose

    return translation.override(choose(*tags))


def in_language_of_site() -> AbstractContextManager[None]:
    """Deactivates the terminal's language for a server, whose log is not only for the terminal.

    Sentences for the terminal are translated before.
    """
    return translation.override(settings.LANGUAGE_CODE)


def told(text: object) -> str:
    """A message of the SDK, in the active language if it was made from a template."""
    if isinstance(text, BaseException):
        text = text.args[0] if text.args else ""
    if not isinstance(text, Sentence):
        return str(text)
    values = {name: _told_part(value) for name, value in text.values.items()}
    return translation.gettext(text.template).format(**values)


def _told_part(value: object) -> object:
    return told(value) if isinstance(value, Sentence) else value


def set_up_logs(*, is_debug: bool = False) -> None:
    """The log of a command that serves. Raises `CommandError` for a file that can't be opened."""
    file = settings.MYAGENT_LOG_FILE
    try:
        logs.set_up("DEBUG" if is_debug else settings.MYAGENT_LOG_LEVEL, file)
    except OSError as error:
        sentence = gettext("The log file {file} can't be opened: {reason}.")
        raise CommandError(sentence.format(file=file, reason=error.strerror)) from error
    sentry.set_up(settings.SENTRY_DSN, settings.VERSION)


class TerminalCommand(BaseCommand):
    """Run in a terminal, it uses the terminal's language; called by a program, the active one.

    `help` is marked with `gettext_noop`.
    """

    _called_from_command_line: bool

    def run_from_argv(self, argv: list[str]) -> None:
        with in_language_of_terminal():
            super().run_from_argv(argv)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """What it refuses is a sentence alone if it was typed, without the name of an exception."""
        try:
            return self._execute(*args, **options)
        except SystemCheckError:
            raise
        except CommandError as error:
            if not self._called_from_command_line or options["traceback"]:
                raise
            self.stderr.write(str(error))
            sys.exit(error.returncode)

    def _execute(self, *args: Any, **options: Any) -> str | None:
        """A database that can't be used is a sentence, whatever the command was doing."""
        try:
            return super().execute(*args, **options)
        except DatabaseFailure as error:
            raise CommandError(
                translation.gettext("The database can't be used: {reason}").format(
                    reason=readable(explain_to_reader(error))
                )
            ) from error

    def warn_where_open(self, sentence: str, *listeners: socket.socket) -> None:
        """Writes it, with the `{address}`, for each that other machines reach where nobody has to
        authenticate.
        """
        for listener in listeners:
            if settings.MYAGENT_AUTH == "open" and not is_loopback(listener):
                line = sentence.format(address=listener.getsockname()[0])
                self.stderr.write(self.style.WARNING(line))

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        self.help = translation.gettext(self.help)
        return super().create_parser(prog_name, subcommand, **kwargs)
