"""The verbs of `manage.py sessions`: stored conversations, looked at and removed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from agents.archive import finding, removal
from agents.archive.describing import entries_of, session_json
from agents.archive.finding import NoSession, Wanted
from agents.archive.status import OPEN, Status
from agents.archive.transcript import line_of
from agents.models import Session
from agents.ownership import external
from agents.terminal.inert import readable
from myagent import exact_json
from myagent.protocol import timestamp
from services.cli.arguments import add_listing, add_pruning, verb_adder
from services.cli.cells import Moment, Summary, Word
from services.cli.screen import Screen, as_json, inert_json

Options = dict[str, Any]

LIST_COLUMNS = (
    gettext_noop("session"),
    gettext_noop("status"),
    gettext_noop("service"),
    gettext_noop("last change"),
    gettext_noop("title"),
)

STATUS_WORDS = (
    gettext_noop("idle"),
    gettext_noop("running"),
    gettext_noop("waiting"),
    gettext_noop("closed"),
)
"""See `Status`."""

MOMENTS = ("created_at", "updated_at", "closed_at")


def add_verbs(parser: argparse.ArgumentParser) -> None:
    """Adds each verb with its options; the one that is given is stored as `verb`."""
    verb = verb_adder(parser)
    listing = verb("list", gettext("Lists conversations, those that changed last first"))
    listing.add_argument("--service", metavar="NAME", default="", help=gettext("of one service"))
    listing.add_argument(
        "--status",
        choices=[OPEN, *(each.value for each in Status)],
        default="",
        help=gettext("what they are doing; open: anything, but they have not been closed"),
    )
    listing.add_argument(
        "--text", default="", help=gettext("in the title, or in what was said in recent ones")
    )
    add_listing(listing)
    for name, summary in (
        ("show", gettext("Shows a conversation, as people read it")),
        ("export", gettext("Writes a conversation with its whole log, as JSON")),
    ):
        verb(name, summary).add_argument("id", metavar="ID", help=gettext("its session_id"))
    pruning = verb("prune", gettext("Removes conversations in which nothing happened for long"))
    add_pruning(pruning, gettext("age of the last change, as in 90m, 12h, 30d or 4w"))


def show_list(screen: Screen, options: Options) -> None:
    wanted = Wanted(
        service=options["service"], status=options["status"], text=readable(options["text"])
    )
    found = finding.select(wanted).order_by("-updated_at", "-pk")[: options["lines"]]
    shown = [session_json(each) for each in found]
    if options["json"]:
        screen.say(as_json(shown))
        return
    screen.table(
        LIST_COLUMNS,
        (
            (
                each["session_id"],
                Word(each["status"]),
                each["service"],
                Moment(each["updated_at"]),
                Summary(each["title"]),
            )
            for each in shown
        ),
    )


def show_one(screen: Screen, options: Options) -> None:
    session = _find(options["id"])
    for_people = session_json(session)
    screen.facts((name, _value(name, value)) for name, value in for_people.items())
    screen.say("")
    for logged in entries_of(session.pk):
        if (line := line_of(logged)) is not None:
            who = f"{line.voice} {line.name}".strip()
            screen.say(f"{timestamp(line.at)} {who}: {line.text}")


def export(screen: Screen, options: Options) -> None:
    """A line for each entry, so that a long log is never in memory as a whole."""
    session = _find(options["id"])
    screen.say(inert_json(f'{{"session": {exact_json.dumps(session_json(session))},'))
    screen.say('"events": [')
    separator = ""
    for logged in entries_of(session.pk):
        # A separator begins the line: which entry is the last is not known before.
        screen.say(inert_json(f"{separator}{logged.frame}"))
        separator = ","
    screen.say("]}")


def prune(screen: Screen, options: Options) -> None:
    before = timezone.now() - options["older_than"]
    if options["dry_run"]:
        count = removal.older(before).count()
        screen.say(gettext("Conversations that would be removed: {count}.").format(count=count))
        _say_notes(screen, external.older(before).count())
        return
    count = 0
    with screen.progress() as progress:
        for _ in removal.remove_older(before):
            count += 1
            progress.tell(gettext("Removed so far: {count}.").format(count=count))
    screen.say(gettext("Removed conversations: {count}.").format(count=count))
    notes, _ = external.older(before).delete()
    _say_notes(screen, notes)


def _say_notes(screen: Screen, count: int) -> None:
    """Of conversations at external services only where they are is known here."""
    if count:
        said = gettext("Notes of where conversations at external services are: {count}.")
        screen.say(said.format(count=count))


VERBS: dict[str, Callable[[Screen, Options], None]] = {
    "list": show_list,
    "show": show_one,
    "export": export,
    "prune": prune,
}


def _find(session_id: str) -> Session:
    try:
        return finding.find(session_id, None)
    except NoSession:
        said = gettext("There is no conversation '{id}'.").format(id=session_id)
        raise CommandError(said) from None


def _value(name: str, value: Any) -> object:
    if value and name in MOMENTS:
        return Moment(value)
    return Word(value) if name == "status" else value
