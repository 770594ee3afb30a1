"""The recorder's plain SQL, as the journal's: see `agents.log.statements`.

A test holds its columns against the models.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

from django.db import connection

from traces.models import NEVER_RAN, Feedback, Span, Trace, Waiting

_TRACE = Trace._meta.db_table
_SPAN = Span._meta.db_table
_FEEDBACK = Feedback._meta.db_table

TRACE_COLUMNS = (
    "id", "session_id", "service", "agent", "model", "principal", "status", "content", "request",
    "answer", "error_type", "error", "max_steps", "attempts", "steps", "span_count", "error_count",
    "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "started_at",
    "traceparent",
)  # fmt: skip
SPAN_COLUMNS = (
    "trace_id", "span_id", "kind", "name", "status", "attempt", "step", "step_id", "started_at",
    "ended_at", "duration_ms", "first_token_ms", "prompt_tokens", "cached_tokens",
    "completion_tokens", "reasoning_tokens", "cost_nano", "start_seq", "end_seq", "error",
)  # fmt: skip
PART_COLUMNS = (
    "trace_id", "span_id", "kind", "name", "status", "attempt", "step", "step_id", "started_at",
    "ended_at", "duration_ms", "error", "parent_id", "attributes",
    "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "start_seq",
    "end_seq",
)  # fmt: skip
FEEDBACK_COLUMNS = (
    "trace_id", "service", "model", "principal", "score", "comment", "given_at",
)  # fmt: skip
WAITING_COLUMNS = ("id", "ended_at", "due_at", "tries", "claim")
OF_THE_START = frozenset({"trace_id", "span_id", "kind", "attempt", "step_id"})
"""Columns of a span that its end leaves as they are."""


def _insert(table: str, columns: Sequence[str]) -> str:
    marks = ",".join("%s" for _ in columns)
    return f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})"


START_TRACE = _insert(_TRACE, TRACE_COLUMNS)

_ADD = (
    "steps=steps+%s, span_count=span_count+%s, error_count=error_count+%s, "
    "prompt_tokens=prompt_tokens+%s, cached_tokens=cached_tokens+%s, "
    "completion_tokens=completion_tokens+%s, reasoning_tokens=reasoning_tokens+%s, "
    # What has no price adds nothing, and is null as long as nothing has one.
    "cost_nano=COALESCE(cost_nano+%s, cost_nano, %s)"
)
ADD_TO_TRACE = f"UPDATE {_TRACE} SET {_ADD} WHERE id=%s"
CONTINUE_TRACE = f"UPDATE {_TRACE} SET attempts=%s WHERE id=%s"
END_TRACE = (
    f"UPDATE {_TRACE} SET {_ADD}, status=%s, ended_at=%s, duration_ms=%s, answer=%s, "
    "error_type=%s, error=%s WHERE id=%s"
)

_IS_OPEN = "ended_at IS NULL"
_NEVER_RAN = json.dumps({NEVER_RAN: True})
# Before its status is another one: MySQL sets one after another.
_END = (
    f"UPDATE {_SPAN} SET attributes=CASE WHEN status='{Span.Status.WAITING.value}' "
    f"THEN '{_NEVER_RAN}' ELSE attributes END, status=%s, ended_at=%s"
)
CUT_SPANS = f"{_END} WHERE trace_id=%s AND attempt<%s AND {_IS_OPEN}"
"""Ends what an interrupted attempt left open."""
END_SPANS = f"{_END}, error=%s WHERE trace_id=%s AND {_IS_OPEN}"

ADD_WAITING = _insert(Waiting._meta.db_table, WAITING_COLUMNS)

FORGET_SPANS = f"DELETE FROM {_SPAN} WHERE trace_id=%s"
FORGET_TRACE = f"DELETE FROM {_TRACE} WHERE id=%s"


@cache
def write_span() -> str:
    """Inserts a span; of one that is there, it changes all that its end decides.

    A tool's start is where its call was logged: its result does not move it.
    """
    is_mysql = connection.vendor == "mysql"
    new = "VALUES({})" if is_mysql else "excluded.{}"
    old = "{}" if is_mysql else f"{_SPAN}.{{}}"
    is_end = f"{new.format('kind')}='tool' AND {new.format('start_seq')}=0"
    changes = []
    for name in SPAN_COLUMNS:
        if name in ("start_seq", "started_at"):
            kept, given = old.format(name), new.format(name)
            changes.append(f"{name}=CASE WHEN {is_end} THEN {kept} ELSE {given} END")
        elif name not in OF_THE_START:
            changes.append(f"{name}={new.format(name)}")
    conflict = "DUPLICATE KEY UPDATE" if is_mysql else "CONFLICT (trace_id, span_id) DO UPDATE SET"
    return f"{_insert(_SPAN, SPAN_COLUMNS)} ON {conflict} {', '.join(changes)}"


@cache
def write_part() -> str:
    """Inserts a span that a tool's code recorded; its id is the code's, and never moves another."""
    is_mysql = connection.vendor == "mysql"
    conflict = "DUPLICATE KEY UPDATE span_id=span_id" if is_mysql else "CONFLICT DO NOTHING"
    return f"{_insert(_SPAN, PART_COLUMNS)} ON {conflict}"


SAY_OF_SPAN = f"UPDATE {_SPAN} SET attributes=%s WHERE trace_id=%s AND span_id=%s"


@cache
def rate() -> str:
    """Keeps a client's last word on a run; of one that has no trace, nothing.

    What is taken back stays, without a score: all is written in the order of the log.
    """
    is_mysql = connection.vendor == "mysql"
    new = "VALUES({})" if is_mysql else "excluded.{}"
    changes = ", ".join(f"{name}={new.format(name)}" for name in FEEDBACK_COLUMNS[4:])
    conflict = "DUPLICATE KEY" if is_mysql else "CONFLICT (trace_id, principal) DO"
    return (
        f"INSERT INTO {_FEEDBACK} ({','.join(FEEDBACK_COLUMNS)}) "
        f"SELECT id, service, model, %s, %s, %s, %s FROM {_TRACE} WHERE id=%s "
        f"ON {conflict} UPDATE {'' if is_mysql else 'SET '}{changes}"
    )


def in_order() -> tuple[str, ...]:
    """The statements, in the order in which a batch's rows are written."""
    return (
        *(START_TRACE, write_span(), write_part(), SAY_OF_SPAN, CUT_SPANS, END_SPANS),
        *(CONTINUE_TRACE, ADD_TO_TRACE, END_TRACE, FORGET_SPANS, FORGET_TRACE),
        *(rate(), ADD_WAITING),
    )
