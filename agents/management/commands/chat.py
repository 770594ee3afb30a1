"""`manage.py chat [URL]`: talk to a service from a terminal."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import termios
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError
from django.utils import translation
from django.utils.translation import gettext, gettext_noop
from rich.console import Console

from agents.terminal.chat import Chat, Status
from agents.terminal.command import TerminalCommand, told, wanted
from agents.terminal.inert import inert
from agents.terminal.prompts import Prompts
from agents.terminal.screen import PlainScreen, RichScreen, Screen
from myagent.client import Client, ClientError, InvalidRequest, connect
from myagent.client.connecting import GIVE_UP_AFTER_S

URL = "ws://localhost:8080/"

STATUSES = gettext_noop(
    """\
Enter sends, Alt-Enter begins a new line. Ctrl-C stops the answer, twice leaves;
so does Ctrl-D. Leaving does not stop the agent.

exit status: 0 answered, or left; 1 there is no answer; 2 wrong usage;
3 no connection, or no such session; 130 left with Ctrl-C before the answer.
"""
)


class Command(TerminalCommand):
    help = gettext_noop("Talks to a service from a terminal.")
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = translation.gettext(STATUSES)
        parser.add_argument(
            "url",
            metavar="URL",
            nargs="?",
            default=URL,
            help=gettext("default: {url}").format(url=URL),
        )
        parser.add_argument("--session", metavar="ID", help=gettext("continue this conversation"))
        parser.add_argument(
            "--message",
            metavar="TEXT",
            help=gettext("ask this, print the answer, and leave; - reads it"),
        )
        parser.add_argument(
            "--lang",
            help=gettext(
                "of what the service itself says, such as zh-hans (default: that of the terminal)"
            ),
        )
        parser.add_argument("--token", help=gettext("sent as a bearer token"))
        parser.add_argument(
            "--give-up-after",
            metavar="S",
            type=float,
            default=GIVE_UP_AFTER_S,
            help=gettext(
                "seconds for which a lost connection is tried again (default: %(default)g)"
            ),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        message = sys.stdin.read() if options["message"] == "-" else options["message"]
        is_typed = sys.stdin.isatty() and sys.stdout.isatty()
        if message is None and not is_typed:
            raise CommandError(
                gettext("This is not a terminal: say what to ask with --message."),
                returncode=Status.WRONG_USAGE,
            )
        if message is not None and not message.strip():
            raise CommandError(gettext("The message is empty."))
        try:
            with quiet_keys():
                status = asyncio.run(talk(options, message, is_typed=is_typed))
        except ClientError as error:
            is_usage = isinstance(error, InvalidRequest)
            status = Status.WRONG_USAGE if is_usage else Status.NO_CONNECTION
            raise CommandError(inert(told(error)), returncode=status) from error
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
        sys.exit(status)


async def talk(options: dict[str, Any], message: str | None, *, is_typed: bool) -> Status:
    """One conversation. Raises `ClientError`."""
    client = connect(
        options["url"],
        session_id=options["session"],
        lang=options["lang"] or next(iter(wanted()), None),
        token=options["token"],
        client_info={"program": "manage.py chat"},
        give_up_after_s=options["give_up_after"],
    )
    prompts = Prompts() if is_typed else None
    screen = screen_for(Console(highlight=False))
    try:
        return await Chat(client, screen, prompts, message).run()
    finally:
        if message is None and client.session_id:
            screen.say(how_to_continue(client, options["url"]))


def screen_for(console: Console) -> Screen:
    if console.is_terminal:
        return RichScreen(console)
    return PlainScreen(console, Console(stderr=True, highlight=False))


def how_to_continue(client: Client, url: str) -> str:
    place = "" if url == URL else f" {url}"
    command = f"manage.py chat{place} --session {inert(client.session_id)}"
    return gettext("To continue: {command}").format(command=command)


@contextlib.contextmanager
def quiet_keys() -> Iterator[None]:
    """Keys that are pressed while nothing is asked do not show up in the middle of an answer.

    They wait for the next prompt one by one: a line's editor would keep Ctrl-D to itself.
    """
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    quiet = termios.tcgetattr(sys.stdin)
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
