"""The verbs of `manage.py traces`: what happened inside runs, looked at and removed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from agents.terminal.inert import one_line, readable
from services.cli import trace_finding, trace_rerun, trace_stats
from services.cli.arguments import add_listing, verb_adder
from services.cli.cells import Moment, Summary, Word
from services.cli.parsing import span_count, time_length
from services.cli.screen import Screen, as_json
from services.cli.span_tree import branches_of
from traces import pruning
from traces.models import Trace
from traces.reading import finding
from traces.reading.describing import Json, spans_json, spans_of, trace_json
from traces.reading.feedback import Kind
from traces.reading.finding import Wanted
from traces.statistics.rolling import roll_a_while

Options = dict[str, Any]

LIST_COLUMNS = (
    gettext_noop("trace"),
    gettext_noop("status"),
    gettext_noop("service"),
    gettext_noop("started"),
    gettext_noop("ms"),
    gettext_noop("steps"),
    gettext_noop("errors"),
    gettext_noop("tokens"),
    gettext_noop("cost"),
    gettext_noop("feedback"),
    gettext_noop("title"),
)

STATUS_WORDS = (
    gettext_noop("running"),
    gettext_noop("answered"),
    gettext_noop("failed"),
    gettext_noop("interrupted"),
    gettext_noop("timed_out"),
)
"""See `Trace.Status`."""

MOMENTS = ("started_at", "ended_at")


def add_verbs(parser: argparse.ArgumentParser) -> None:
    """Adds each verb with its options; the one that is given is stored as `verb`."""
    verb = verb_adder(parser)
    listing = verb("list", gettext("Lists traces, the newest first"))
    listing.add_argument("--service", metavar="NAME", default="", help=gettext("of one service"))
    listing.add_argument("--status", choices=[each.value for each in Trace.Status], default="")
    listing.add_argument("--session", metavar="ID", default="", help=gettext("of one conversation"))
    listing.add_argument(
        "--since",
        type=time_length,
        metavar="24h",
        help=gettext("begun within this time, as in 90m, 24h or 7d"),
    )
    listing.add_argument(
        "--errors", action="store_true", help=gettext("that failed, or a step of which did")
    )
    listing.add_argument(
        "--feedback",
        choices=[each.value for each in Kind],
        help=gettext("by what clients said of the answer"),
    )
    listing.add_argument("--text", default="", help=gettext("in the question or in the answer"))
    add_listing(listing)
    for name, summary in (
        ("show", gettext("Shows a trace, its steps as a tree")),
        ("export", gettext("Writes a trace with what went in and out of its steps, as JSON")),
    ):
        verb(name, summary).add_argument("id", metavar="ID", help=gettext("its trace_id"))
    trace_rerun.add_verb(verb)
    trace_stats.add_verb(verb)
    prune_verb = verb("prune", gettext("Removes the traces of runs that ended long ago"))
    which = prune_verb.add_mutually_exclusive_group(required=True)
    age = gettext("time since the end, as in 90m, 12h, 30d or 4w")
    which.add_argument("--older-than", type=time_length, metavar="30d", help=age)
    most = gettext("the oldest, until no more than N steps are left")
    which.add_argument("--keep-spans", type=span_count, metavar="N", help=most)
    prune_verb.add_argument("--dry-run", action="store_true", help=gettext("only count them"))


def show_list(screen: Screen, options: Options) -> None:
    wanted = Wanted(
        service=options["service"],
        status=options["status"],
        session_id=options["session"],
        since=timezone.now() - options["since"] if options["since"] else None,
        text=readable(options["text"]),
        has_errors=options["errors"],
        feedback=Kind(options["feedback"]) if options["feedback"] else None,
    )
    found = finding.select(wanted)[: options["lines"]].prefetch_related("feedback")
    shown = [trace_json(each) for each in found]
    if options["json"]:
        screen.say(as_json(shown))
    else:
        screen.table(LIST_COLUMNS, map(_row, shown))


def _row(shown: Json) -> Sequence[object]:
    usage = shown["usage"]
    return (
        shown["trace_id"],
        Word(shown["status"]),
        shown["service"],
        Moment(shown["started_at"]),
        shown["duration_ms"],
        shown["steps"],
        shown["errors"],
        usage["prompt_tokens"] + usage["completion_tokens"],
        _cost(shown),
        " ".join(_score(each) for each in shown["feedback"]),
        Summary(shown["request"]),
    )


def show_one(screen: Screen, options: Options) -> None:
    trace = trace_finding.find(options["id"])
    shown = trace_json(trace)
    usage = shown.pop("usage")
    currency = shown.pop("currency")
    if origin := shown["rerun_of"]:
        shown["rerun_of"] = gettext("{trace}, from step {step}").format(
            trace=origin["trace_id"], step=origin["step"]
        )
    given = [("feedback", _said(each)) for each in shown.pop("feedback")]
    shown["cost"] = f"{_cost(shown)} {currency}" if shown["cost"] is not None else None
    facts = [(name, _value(name, value)) for name, value in shown.items()]
    screen.facts([*facts, *usage.items(), *given])
    screen.say("")
    for branch in branches_of(trace):
        screen.tree(branch)


def export(screen: Screen, options: Options) -> None:
    trace = trace_finding.find(options["id"])
    document = {"trace": trace_json(trace), "spans": spans_json(trace, list(spans_of(trace)))}
    screen.say(as_json(document))


def _to_prune(options: Options) -> QuerySet[Trace]:
    if options["older_than"] is not None:
        return pruning.older(timezone.now() - options["older_than"])
    # What statistics have not counted is kept.
    roll_a_while()
    return pruning.beyond(options["keep_spans"])


def prune(screen: Screen, options: Options) -> None:
    traces = _to_prune(options)
    if options["dry_run"]:
        count = traces.count()
        screen.say(gettext("Traces that would be removed: {count}.").format(count=count))
        return
    count = 0
    with screen.progress() as progress:
        for removed in pruning.remove(traces):
            count += removed
            progress.tell(gettext("Removed so far: {count}.").format(count=count))
    screen.say(gettext("Removed traces: {count}.").format(count=count))


VERBS: dict[str, Callable[[Screen, Options], None]] = {
    "list": show_list,
    "show": show_one,
    "export": export,
    "rerun": trace_rerun.rerun,
    "stats": trace_stats.show,
    "prune": prune,
}


def _cost(shown: Json) -> str | None:
    return None if shown["cost"] is None else f"{shown['cost']:.6f}"


def _score(feedback: Json) -> str:
    return f"{feedback['score']:+.3g}"


def _said(feedback: Json) -> str:
    """The score, who gave it, and the comment."""
    who = f" ({feedback['principal']})" if feedback["principal"] else ""
    said = f"{_score(feedback)}{who}"
    return f"{said}: {one_line(feedback['comment'])}" if feedback["comment"] else said


def _value(name: str, value: Any) -> object:
    if value and name in MOMENTS:
        return Moment(value)
    return Word(value) if name == "status" else value
