"""Reading traces where a million spans are stored: lists, filters, statistics, pages of a long run.

`python -m bench.traces` fills a private MariaDB, prints what each question took, and the plan of
each of its queries; `--json FILE` keeps the figures.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.arguments import parser_of
from bench.load import Shape, alternate
from bench.report import Figure, microseconds, publish
from bench.subjects import MODEL_AGENT, Site
from bench.turns import ratios
from tests.databases import migrate, share_migrated
from tests.servers import MariaDB, execute_sql

ROUNDS = 5
DAYS = 30
TARGET_MS = 300.0


@dataclass(frozen=True, slots=True)
class Scale:
    """`traces` of five spans each, `steps` of two spans of one long run, `writes` of one span, and
    `rounds` of turns in as many `sessions` at once.
    """

    traces: int
    steps: int
    writes: int
    sessions: int
    rounds: int


FULL = Scale(traces=199_000, steps=2_500, writes=2_000, sessions=16, rounds=15)
QUICK = Scale(traces=500, steps=20, writes=20, sessions=2, rounds=1)

NEW_DATABASE = "CREATE DATABASE {} CHARACTER SET utf8mb4"

# Ids begin with the time, as `agents.runtime.ids` makes them.
NUMBERS = """
    SELECT seq, CONCAT(LEFT(hexed, 8), '-', RIGHT(hexed, 4), '-7000-8000-', LPAD(HEX(seq), 12, '0'))
        AS id, began FROM (
        SELECT seq, began, LPAD(LOWER(HEX(CAST(UNIX_TIMESTAMP(began) * 1000 AS UNSIGNED))), 12, '0')
            AS hexed FROM (
            SELECT seq, UTC_TIMESTAMP(6) - INTERVAL
                CAST(({count} - seq) / {count} * {seconds} AS INTEGER) + 60 SECOND AS began
            FROM seq_1_to_{count}
        ) AS moments
    ) AS numbers
"""
FILL_TRACES = """
INSERT INTO traces_trace (id, session_id, service, agent, model, principal, status, content,
    request, answer, error_type, error, attempts, steps, span_count, error_count, prompt_tokens,
    cached_tokens, completion_tokens, reasoning_tokens, cost_nano, started_at, ended_at,
    duration_ms)
SELECT id, CONCAT('session-', seq MOD 20000), ELT(1 + seq MOD 3, 'weather', 'news', 'sql'),
    'agent', ELT(1 + seq MOD 4, 'gpt-5', 'gpt-5-mini', 'qwen', 'glm'), CONCAT('user:', seq MOD 500),
    IF(seq MOD 200, 'answered', 'failed'), 'on',
    CONCAT('What is the weather in city number ', seq, ', and will it rain there tomorrow?'),
    CONCAT('In city number ', seq, ' the sun shines, and no rain is expected.'), '', '', 1, 2, 5,
    IF(seq MOD 200, 0, 1), 400, 0, 90, 0, 1000 * (seq MOD 1000), began,
    began + INTERVAL 2 SECOND, 500 + seq * 7919 MOD 4000
FROM ({numbers}) AS source
"""
FILL_SPANS = """
INSERT INTO traces_span (trace_id, span_id, kind, name, status, attempt, step, step_id, started_at,
    ended_at, duration_ms, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens,
    cost_nano, start_seq, end_seq, error)
SELECT id, LPAD(part.seq, 16, '0'), IF(part.seq < 3, 'think', 'tool'),
    IF(part.seq < 3, model, CONCAT('tool_', (number + part.seq) MOD 10)),
    IF(number MOD 200 OR part.seq > 3, 'success', 'error'), 1, 1, '', began,
    began + INTERVAL part.seq SECOND, 1 + number * part.seq * 7919 MOD 3000, 200, 0, 45, 0,
    IF(part.seq < 3, 1000, NULL), 0, 0, ''
FROM (
    SELECT id, model, started_at AS began, CONV(RIGHT(id, 12), 16, 10) + 0 AS number
    FROM traces_trace WHERE service <> 'long'
) AS source, seq_1_to_5 AS part
"""

FILL_FEEDBACK = """
INSERT INTO traces_feedback (trace_id, principal, service, model, score, comment, given_at)
SELECT id, principal, service, model, IF(MOD(cost_nano, 200000), 1, -1), 'because', ended_at
FROM traces_trace WHERE MOD(cost_nano, 20000) < 1000
"""


@contextmanager
def filled(scale: Scale) -> Iterator[str]:
    """The id of the long run, of a database that Django is connected to."""
    with MariaDB() as server:
        execute_sql(server.port, NEW_DATABASE.format("bench"))
        url = server.url("bench")
        share_migrated()
        migrate(url)
        os.environ |= {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "myagent_site.settings"}
        os.environ.setdefault("SECRET_KEY", secrets.token_hex())
        import django
        from django.db import connection

        django.setup()
        run_id = _long_run(scale.steps)
        numbers = NUMBERS.format(count=scale.traces, seconds=DAYS * 86_400)
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")
            cursor.execute(FILL_TRACES.format(numbers=numbers))
            cursor.execute(FILL_SPANS)
            cursor.execute(FILL_FEEDBACK)
            cursor.execute("ANALYZE TABLE traces_trace, traces_span, traces_feedback")
            cursor.fetchall()
        try:
            yield run_id
        finally:
            connection.close()


def _long_run(steps: int) -> str:
    from django.db.models import CharField, Value
    from django.db.models.functions import Concat, Mod

    from tests.traces.recorded import Story
    from traces.models import Span

    story = Story(service="long")
    ref = story.ask("a long task")
    for step in range(1, steps + 1):
        story.think(ref, f"tool_{step}", step=step)
        story.work(ref, f"tool_{step}", "success", "found " * 50, step=step)
    # A story's calls are told apart by their tools; an agent has a few of them.
    tools = Span.objects.filter(trace_id=ref.run_id, kind=Span.Kind.TOOL)
    tools.update(name=Concat(Value("tool_"), Mod("step", 10), output_field=CharField()))
    return ref.run_id


Question = Callable[[], Any]


def questions(run_id: str, scale: Scale) -> Iterator[tuple[str, str, Question]]:
    from django.utils import timezone

    from traces.models import Trace
    from traces.pruning import beyond
    from traces.reading.describing import spans_json, spans_of
    from traces.reading.feedback import Kind
    from traces.reading.finding import Wanted, page_of

    now = timezone.now()
    filters: dict[str, dict[str, Any]] = {
        "none": {},
        "service": {"service": "weather"},
        "session": {"session_id": "session-77"},
        "principal": {"client": "user:77"},
        "status, 1 of 200": {"status": "failed"},
        "model": {"model": "glm"},
        "model that nothing has": {"model": "none"},
        "since an hour ago": {"since": now - timedelta(hours=1)},
        "until ten days ago": {"until": now - timedelta(days=10)},
        "least duration": {"min_duration_ms": 4_490},
        "least cost that nothing has": {"min_cost": 1},
        "errors": {"has_errors": True},
        **{f"{kind} feedback": {"feedback": kind} for kind in Kind},
        "negative feedback on a service": {"feedback": Kind.NEGATIVE, "service": "weather"},
        "text": {"text": "rain"},
        "text that nothing has": {"text": "snow"},
    }
    for name, wanted in filters.items():
        yield "list, page of 50", name, lambda wanted=wanted: page_of(Wanted(**wanted), limit=50)
    middle = Trace.objects.order_by("-pk").values_list("pk", flat=True)[scale.traces // 2]
    yield "list, page of 50", "in the middle", lambda: page_of(Wanted(), limit=50, cursor=middle)
    half = scale.traces * 5 // 2
    yield "what is beyond half of the spans", "to prune", lambda: beyond(half).first()
    trace = Trace.objects.get(pk=run_id)
    for name, first in (("the first", 0), ("the last", max(0, 2 * scale.steps - 100))):
        yield (
            *("spans of a long run, page of 100", name),
            lambda first=first: spans_json(trace, list(spans_of(trace)[first : first + 100])),
        )


def statistics(when: str) -> Iterator[tuple[str, str, Question]]:
    from django.utils import timezone

    from traces.reading.stats import By, Wanted, stats_json

    now = timezone.now()
    for name, days in (("a day", 1), (f"{DAYS} days", DAYS)):
        for by in By:
            wanted = Wanted(now - timedelta(days=days), now, by)
            yield f"statistics{when}", f"{name} by {by}", lambda wanted=wanted: stats_json(wanted)


def asked(
    what: str, detail: str, question: Question, target: float | None = None, rounds: int = ROUNDS
) -> Figure:
    """Prints the plans of its queries, too, equal ones once."""
    for plan, count in Counter(plans_of(question)).items():
        print(f"  {what}, {detail}: {plan}", f"({count} times)" if count > 1 else "")
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        question()
        took.append((time.perf_counter() - began) * 1e3)
    return Figure.of(what, detail, took, "ms", target=target)


def plans_of(question: Question) -> list[str]:
    """Of each query: table, access, key, rows, and what else MariaDB says of it."""
    from django.db import connection

    queries: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        queries.append((sql, parameters))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(note):
        question()
    found = []
    with connection.cursor() as cursor:
        for sql, parameters in queries:
            cursor.execute(f"EXPLAIN {sql}", parameters)
            for _, _, table, access, _, key, _, _, rows, extra in cursor.fetchall():
                found.append(f"{table} {access} {key or '-'} {rows} rows; {extra or '-'}")
    return found


def check_counts() -> None:
    """Raises if statistics do not count all spans that have ended."""
    from django.utils import timezone

    from traces.models import Span
    from traces.reading.stats import By, Wanted, stats_json

    until = timezone.now() + timedelta(hours=1)
    found = stats_json(Wanted(until - timedelta(days=DAYS + 1), until, By.SERVICE))
    counted = sum(each["count"] for each in found["items"])
    stored = Span.objects.filter(ended_at__isnull=False).count()
    if counted != stored:
        raise RuntimeError(f"Statistics count {counted} of {stored} spans.")


def rolling() -> list[Figure]:
    from django.db import connection
    from django.utils import timezone

    from traces.statistics.rolling import roll

    took, now = [], timezone.now()
    while True:
        began = time.perf_counter()
        if not roll(now):
            break
        took.append((time.perf_counter() - began) * 1e3)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE TABLE traces_spanhour, traces_spanday")
        cursor.fetchall()
    return [Figure.of("counting an hour", f"of {len(took)}", took, "ms")]


def memory(run_id: str) -> Figure:
    from traces.models import Trace
    from traces.reading.describing import spans_json, spans_of

    trace = Trace.objects.get(pk=run_id)
    tracemalloc.start()
    spans_json(trace, list(spans_of(trace)[:100]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return Figure.of("spans of a long run, page of 100", "memory", [peak / 1024], "KiB")


def size() -> Figure:
    """What spans take, with their traces and all indexes."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT SUM(data_length + index_length), (SELECT COUNT(*) FROM traces_span) "
            "FROM information_schema.tables WHERE table_schema = DATABASE() "
            "AND table_name IN ('traces_trace', 'traces_span')"
        )
        taken, count = cursor.fetchone()
    return Figure.of("a span", "with its part of a trace", [float(taken) / count], "bytes")


def turns(scale: Scale) -> list[Figure]:
    """A model turn beside all these traces over one on a new database of the same server."""
    from django.conf import settings

    url = os.environ["DATABASE_URL"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        execute_sql(int(settings.DATABASES["default"]["PORT"]), NEW_DATABASE.format("apart"))
        site = Site(stack, url, folder, other_url=f"{url.rpartition('/')[0]}/apart")
        full = site.runner("model turn", MODEL_AGENT)
        new = site.runner("model turn, new database", MODEL_AGENT, apart=True)
        shape = Shape(scale.sessions, turns=5, warm_up=8)
        asyncio.run(alternate([full, new], Shape(scale.sessions, 1, 1), 1))
        results = asyncio.run(alternate([full, new], shape, scale.rounds))
    ours, others = ([each.cpu_s for each in some] for some in zip(*results, strict=True))
    detail = f"{microseconds(ours)} / {microseconds(others)}"
    what = "model turn / with no traces stored, CPU"
    return [Figure.of(what, detail, ratios(ours, others), "×", target=1.2)]


def writing(scale: Scale) -> list[Figure]:
    """What a span costs to write, from its start to its end, with the index on ends and without.

    They take turns.
    """
    from django.db import connection

    _written("first", scale.writes)
    having, lacking = [], []
    with connection.cursor() as cursor:
        for part in range(ROUNDS):
            having.append(_written(f"having-{part}", scale.writes))
            cursor.execute("ALTER TABLE traces_span DROP INDEX span_by_end")
            lacking.append(_written(f"lacking-{part}", scale.writes))
            cursor.execute("ALTER TABLE traces_span ADD INDEX span_by_end (ended_at)")
    ratios = [one / other for one, other in zip(having, lacking, strict=True)]
    what = "writing a span, 20 in a commit"
    return [
        Figure.of(what, "with the index on ends", having, "µs"),
        Figure.of(what, "without it", lacking, "µs"),
        Figure.of(what, "with it / without it", ratios, "×"),
    ]


def _written(trace_id: str, count: int) -> float:
    """Microseconds a span."""
    from django.db import connection, transaction
    from django.utils import timezone

    from traces.recording import spans

    now = timezone.now()
    began = time.perf_counter()
    for first in range(0, count, 20):
        with transaction.atomic(), connection.cursor() as cursor:
            for number in range(first, min(first + 20, count)):
                for row in _rows(spans, trace_id, number, now):
                    cursor.execute(row.statement, row.values)
    return (time.perf_counter() - began) / count * 1e6


def _rows(spans: Any, trace_id: str, number: int, now: Any) -> Sequence[Any]:
    from agents.log.writes import RunFacts

    run = RunFacts(trace_id, 1, number, False, 0)
    subject = spans.Subject(run, spans.TOOL, "tool", number, f"call_{number}")
    return (
        spans.opened(subject, "running", spans.adapted(now), 1),
        spans.ended(subject, "success", now, spans.Outcome(2, 10)),
    )


def measure_all(scale: Scale) -> list[Figure]:
    with filled(scale) as run_id:
        figures = [size()]
        # A month of this takes half a minute.
        figures += [asked(*each, rounds=1) for each in statistics(" from spans alone")]
        check_counts()
        figures += rolling()
        check_counts()
        for each in (*questions(run_id, scale), *statistics("")):
            figures.append(asked(*each, target=TARGET_MS))
        figures.append(memory(run_id))
        figures += writing(scale)
        return figures + turns(scale)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser_of(__doc__, has_databases=False).parse_args(arguments)
    scale = QUICK if options.quick else FULL
    load = os.getloadavg()[0]
    figures = measure_all(scale)
    count = scale.traces * 5 + scale.steps * 2
    publish(f"{count:,} spans on MariaDB, load {load:.1f} at the start", figures, options.json)


if __name__ == "__main__":
    main()
