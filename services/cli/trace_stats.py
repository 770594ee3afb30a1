"""`manage.py traces stats`: what operations took."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from services.cli.cells import Moment
from services.cli.parsing import time_length
from services.cli.screen import Screen, as_json
from traces.reading import stats
from traces.reading.describing import Json

COLUMNS = (
    gettext_noop("kind"),
    gettext_noop("operation"),
    gettext_noop("count"),
    gettext_noop("errors"),
    gettext_noop("average ms"),
    gettext_noop("min ms"),
    gettext_noop("p50 ms"),
    gettext_noop("p95 ms"),
    gettext_noop("max ms"),
    gettext_noop("tokens"),
    gettext_noop("cost"),
)

FEEDBACK_COLUMNS = (
    gettext_noop("feedback on"),
    gettext_noop("count"),
    gettext_noop("positive"),
    gettext_noop("negative"),
    gettext_noop("average score"),
)


def add_verb(verb: Callable[[str, str], argparse.ArgumentParser]) -> None:
    parser = verb("stats", gettext("Shows how often steps ran, how long they took, what they cost"))
    parser.add_argument(
        "--by",
        choices=[each.value for each in stats.By],
        default=stats.By.NAME.value,
        help=gettext("what is one operation"),
    )
    parser.add_argument(
        "--since",
        type=time_length,
        metavar="24h",
        default=timedelta(days=1),
        help=gettext("ended within this time, as in 90m, 24h or 7d (24h)"),
    )
    parser.add_argument("--service", metavar="NAME", default="", help=gettext("of one service"))
    parser.add_argument(
        "--over-time",
        action="store_true",
        help=gettext("by the hour, or of more than two days by the day"),
    )
    parser.add_argument("--json", action="store_true", help=gettext("the same as JSON"))


def show(screen: Screen, options: dict[str, Any]) -> None:
    now = timezone.now()
    if options["since"] > stats.LONGEST:
        said = gettext("--since can't be more than {days} days.").format(days=stats.LONGEST.days)
        raise CommandError(said)
    wanted = stats.Wanted(
        now - options["since"], now, stats.By(options["by"]), service=options["service"]
    )
    found = stats.stats_json(wanted)
    if options["json"]:
        screen.say(as_json(found))
    elif options["over_time"]:
        screen.table((gettext_noop("from"), *COLUMNS), _over_time(found["items"]))
    else:
        screen.table(COLUMNS, map(_row, found["items"]))
        if found["feedback"]:
            screen.say("")
            screen.table(FEEDBACK_COLUMNS, [tuple(each.values()) for each in found["feedback"]])


def _over_time(items: Sequence[Json]) -> Iterator[Sequence[object]]:
    for item in items:
        for bucket in item["buckets"]:
            yield (Moment(bucket["at"]), *_row(item | bucket))


def _row(shown: Json) -> Sequence[object]:
    cost = shown["cost"]
    return (
        *(shown[name] for name in ("kind", "group", "count", "errors", "avg_ms", "min_ms")),
        *(shown[name] for name in ("p50_ms", "p95_ms", "max_ms")),
        shown["prompt_tokens"] + shown["completion_tokens"],
        None if cost is None else f"{cost:.6f}",
    )
