"""The arguments of `manage.py services`."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser
from django.utils import translation
from django.utils.translation import gettext, gettext_noop

from services.cli import rule_arguments
from services.cli.parsing import tags, time_length
from services.models import Service
from services.views.observers import UNKNOWN

TIMEOUT_S = 120.0
"""Seconds that a command waits for its effect by default."""

EXIT_STATUSES = gettext_noop(
    """\
exit status: 0 done, and observed; 1 refused, failed or not observed in time, as a
sentence says; 2 wrong usage; 130 no longer waited for, after Ctrl-C.
"""
)


class VerbParser(CommandParser):
    """Accepts options between NAME and FILE too: by default argparse stops at the first gap."""

    _is_within = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        # Options between the parts of a verb with further verbs can't be told apart.
        if self._is_within or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._is_within = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_within = False


def verb_adder(
    parser: argparse.ArgumentParser, *, epilog: str | None = None
) -> Callable[[str, str], argparse.ArgumentParser]:
    """A function that adds a verb, given its name and summary, and returns the verb's parser.

    The verb that is given on the command line is stored as `verb`.
    """
    verbs = parser.add_subparsers(
        dest="verb",
        metavar="VERB",
        required=True,
        title=gettext("verbs"),
        parser_class=VerbParser,
    )

    def verb(name: str, summary: str) -> argparse.ArgumentParser:
        description = gettext("{summary}.").format(summary=summary)
        return verbs.add_parser(name, help=summary, description=description, epilog=epilog)

    return verb


def add_verbs(parser: argparse.ArgumentParser) -> None:
    """Adds each verb with its options; the one that is given is stored as `verb`."""
    verb = verb_adder(parser, epilog=translation.gettext(EXIT_STATUSES))
    _add_registration(verb("register", gettext("Puts a service on the list")))
    for name, summary in (
        ("start", gettext("Starts a service")),
        ("stop", gettext("Stops a service: running answers are finished first")),
        ("restart", gettext("Replaces a service's processes by new ones")),
        ("unregister", gettext("Stops a service and takes it off the list")),
    ):
        added = verb(name, summary)
        _add_name(added)
        _add_waiting(added)
    _add_views(verb)
    verb(
        "reencrypt", gettext("Encrypts the variables of all services under the present SECRET_KEY")
    )
    rule_arguments.add_verbs(verb("routes", gettext("Shows and changes the rules of routing")))


def _add_registration(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", help=gettext("letters, digits, dots, dashes, underscores")
    )
    parser.add_argument("file", metavar="FILE", nargs="?", help=gettext("the agent file"))
    parser.add_argument(
        "--url", metavar="ws://…", help=gettext("a service that runs elsewhere, no FILE")
    )
    _add_address(parser)
    _add_words(parser)
    parser.add_argument("--auto-start", action="store_true", help=gettext("start it at once"))
    _add_sessions(parser)
    _add_restarts(parser)
    _add_processes(parser)
    _add_waiting(parser)


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help=gettext("address to listen on (localhost)"))
    parser.add_argument("--port", type=int, help=gettext("on which a server listens for it alone"))


def _add_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--description", metavar="TEXT", help=gettext("what it is, in a sentence"))
    parser.add_argument(
        "--tags", type=tags, action="extend", metavar="A,B", help=gettext("words to find it by")
    )


def _add_sessions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-sessions", type=int, metavar="N", help=gettext("more are refused"))
    parser.add_argument(
        "--session-timeout",
        type=float,
        metavar="S",
        dest="session_timeout_s",
        help=gettext("seconds after which idle sessions leave memory"),
    )


def _add_restarts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--auto-restart",
        action=argparse.BooleanOptionalAction,
        default=True,
        help=gettext("start it again after a crash (the default)"),
    )
    parser.add_argument(
        "--max-restart-count", type=int, metavar="N", help=gettext("crashes in a row (5)")
    )
    parser.add_argument(
        "--restart-delay",
        type=float,
        metavar="S",
        dest="restart_delay_s",
        help=gettext("seconds before the second restart in a row; they double (1)"),
    )


def _add_processes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--replicas", type=int, metavar="N", help=gettext("processes (1)"))
    parser.add_argument(
        "--weight", type=int, metavar="N", help=gettext("its share of new clients (1)")
    )
    parser.add_argument("--memory-limit-mb", type=int, metavar="N", help=gettext("of each process"))
    parser.add_argument(
        "--python",
        metavar="PATH",
        help=gettext("the interpreter that runs the agent; the site's own by default"),
    )
    parser.add_argument(
        "--env",
        type=variable,
        action="append",
        metavar="K=V",
        help=gettext(
            "a variable of its processes; K alone takes the value that it has here. Repeatable"
        ),
    )


def _add_views(verb: Callable[[str, str], argparse.ArgumentParser]) -> None:
    listing = verb("list", gettext("Lists services"))
    listing.add_argument("--status", choices=[*Service.Status.values, UNKNOWN])
    listing.add_argument(
        "--tags",
        type=tags,
        action="extend",
        metavar="A,B",
        help=gettext("only those with all of these"),
    )
    status = verb("status", gettext("Shows a service and its processes"))
    stats = verb("stats", gettext("Shows figures of a service, or of all together"))
    logs = verb("logs", gettext("Shows what a service's processes write"))
    health = verb(
        "health", gettext("Shows the health of a service's processes and its last checks")
    )
    for viewed in (status, logs, health):
        _add_name(viewed)
    stats.add_argument("name", metavar="NAME", nargs="?", help=gettext("the service's name or id"))
    for viewed in (listing, status, stats, health):
        viewed.add_argument("--json", action="store_true", help=gettext("the same as JSON"))
    logs.add_argument(
        "-f", "--follow", action="store_true", help=gettext("and what comes, until Ctrl-C")
    )
    logs.add_argument(
        "-n", "--lines", type=line_count, default=100, metavar="N", help=gettext("last lines (100)")
    )
    logs.add_argument(
        "--instance", metavar="ID", help=gettext("of this process, which may have ended")
    )


def add_listing(parser: argparse.ArgumentParser) -> None:
    """How much of a list, and in which form."""
    parser.add_argument(
        "-n", "--lines", type=line_count, default=50, metavar="N", help=gettext("at most (50)")
    )
    parser.add_argument("--json", action="store_true", help=gettext("the same as JSON"))


def add_pruning(parser: argparse.ArgumentParser, age: str) -> None:
    """`age`: what `--older-than` says, in the active language."""
    parser.add_argument("--older-than", type=time_length, required=True, metavar="30d", help=age)
    parser.add_argument("--dry-run", action="store_true", help=gettext("only count them"))


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=gettext("the service's name or id"))


def _add_waiting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-wait", action="store_true", help=gettext("ask, and leave"))
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT_S,
        metavar="S",
        help=gettext("seconds to wait for it at most (%(default)g)"),
    )


def variable(text: str) -> tuple[str, str]:
    """`K=V`, or `K` with the value that it has in this environment."""
    name, equals, value = text.partition("=")
    if not equals and name not in os.environ:
        raise argparse.ArgumentTypeError(
            gettext("give {name}=VALUE: it has no value here.").format(name=name or "K")
        )
    return name, value if equals else os.environ[name]


def seconds(text: str) -> float:
    value: float = _number(float, text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(gettext("give seconds, more than 0."))
    return value


def line_count(text: str) -> int:
    value: int = _number(int, text)
    if not 0 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError(gettext("give a number of lines up to 1000000."))
    return value


def _number(kind: Callable[[str], Any], text: str) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            gettext("'{text}' is not a number.").format(text=text)
        ) from error
