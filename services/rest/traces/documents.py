"""The schemas of responses on traces, for the documentation.

`traces.reading.describing` makes the responses.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from services.rest.answers import Error, Responses, refusal_of
from services.rest.conversations import documents as conversations
from services.rest.documents import Answer
from services.rest.fields import WithUnderscores
from traces.models import Span, Trace
from traces.reading.stats import By

ID = OpenApiParameter(
    "id",
    {"type": "string", "minLength": 1, "maxLength": 64},
    OpenApiParameter.PATH,
    description="The trace_id, which is the run_id.",
)


class UsageSerializer(Answer):
    prompt_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField(help_text="Some of `prompt_tokens`.")
    completion_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField(help_text="Some of `completion_tokens`.")


class RerunOfSerializer(Answer):
    """The run that ran again; null: it is a run of its own."""

    trace_id = serializers.CharField(help_text="It may have been removed since.")
    step = serializers.IntegerField(help_text="The reply that was asked for again.")


class FeedbackSerializer(Answer):
    principal = serializers.CharField(help_text="Who gave it; empty where nobody has to log in.")
    score = serializers.FloatField(help_text="From -1, bad, to 1, good.")
    comment = serializers.CharField(help_text="If it may be seen.")
    given_at = serializers.DateTimeField()


class TraceSerializer(WithUnderscores):
    trace_id = serializers.CharField(help_text="The run's id.")
    session_id = serializers.CharField()
    service = serializers.CharField()
    agent_name = serializers.CharField()
    model = serializers.CharField()
    principal = serializers.CharField(help_text="The client; empty where nobody has to log in.")
    status = serializers.ChoiceField(Trace.Status.values)
    request = serializers.CharField(help_text="The beginning of the question, if it may be seen.")
    answer = serializers.CharField(help_text="The beginning of the answer, if it may be seen.")
    error_type = serializers.CharField()
    error = serializers.CharField()
    rerun_of = RerunOfSerializer(allow_null=True)
    attempts = serializers.IntegerField()
    steps = serializers.IntegerField(help_text="The model's replies.")
    max_steps = serializers.IntegerField(allow_null=True)
    spans = serializers.IntegerField(help_text="Steps that have ended by themselves.")
    errors_ = serializers.IntegerField(help_text="Those of them that failed.")
    usage = UsageSerializer()
    cost = serializers.FloatField(allow_null=True, help_text="null: a model has no price.")
    currency = serializers.CharField()
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    feedback = FeedbackSerializer(
        many=True, help_text="The last word of each client on the answer."
    )


class TracesSerializer(Answer):
    items = TraceSerializer(many=True)
    cursor = serializers.CharField(
        allow_null=True, help_text="What the next request gives as `cursor`; null: the end."
    )
    complete = serializers.BooleanField(
        help_text="false: the page ended because it had looked through so many traces."
    )


class SpanSerializer(Answer):
    span_id = serializers.CharField()
    trace_id = serializers.CharField()
    parent_span_id = serializers.CharField(
        allow_null=True, help_text="Of a tool: the reply that called it."
    )
    kind = serializers.ChoiceField(Span.Kind.values)
    name = serializers.CharField(help_text="Of the model, or of the tool.")
    status = serializers.ChoiceField(Span.Status.values)
    attempt = serializers.IntegerField()
    step = serializers.IntegerField()
    step_id = serializers.CharField(allow_null=True, help_text="Of a tool: its call.")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    first_token_ms = serializers.IntegerField(allow_null=True)
    usage = UsageSerializer(allow_null=True)
    cost = serializers.FloatField(allow_null=True)
    error = serializers.CharField()
    inputs = serializers.DictField(
        allow_null=True, help_text="`messages` of a reply, `args` of a tool."
    )
    outputs = serializers.DictField(
        allow_null=True, help_text="`message` and `reasoning` of a reply, `result` of a tool."
    )
    attributes = serializers.DictField(
        allow_null=True,
        help_text="What a tool's code said of a part of its work; of a tool, "
        "`myagent.parts_left_out`, if there were too many, and `myagent.never_ran`, if it "
        "ended while it waited for a confirmation.",
    )


class SpansSerializer(Answer):
    items = SpanSerializer(many=True)
    total = serializers.IntegerField()
    cursor = serializers.IntegerField(
        allow_null=True, help_text="What the next request gives as `cursor`; null: the end."
    )


class SpanFiguresSerializer(WithUnderscores):
    count = serializers.IntegerField(help_text="Steps that have ended.")
    errors_ = serializers.IntegerField(help_text="Those of them that failed.")
    avg_ms = serializers.FloatField(allow_null=True)
    min_ms = serializers.IntegerField(allow_null=True)
    max_ms = serializers.IntegerField(allow_null=True)
    p50_ms = serializers.FloatField(allow_null=True, help_text="True to 5 %, as `p95_ms`.")
    p95_ms = serializers.FloatField(allow_null=True)
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    cost = serializers.FloatField(allow_null=True, help_text="null: a model has no price.")


class SpanBucketSerializer(SpanFiguresSerializer):
    at = serializers.DateTimeField(help_text="The start of the hour, or of the day.")


class OperationStatsSerializer(SpanFiguresSerializer):
    kind = serializers.ChoiceField(Span.Kind.values)
    group = serializers.CharField(help_text="A name, service or model, as `by` says.")
    buckets = SpanBucketSerializer(many=True)


class FeedbackStatsSerializer(Answer):
    group = serializers.CharField(help_text="A service; with `by=model` the model of its agent.")
    count = serializers.IntegerField()
    positive = serializers.IntegerField(help_text="Scores above 0.")
    negative = serializers.IntegerField(help_text="Scores below 0.")
    avg_score = serializers.FloatField()


class SpanStatsSerializer(Answer):
    by = serializers.ChoiceField([each.value for each in By])
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    bucket = serializers.ChoiceField(["hour", "day"])
    currency = serializers.CharField()
    total = serializers.IntegerField(help_text="Operations; `items` has the 100 most frequent.")
    items = OperationStatsSerializer(many=True)
    feedback = FeedbackStatsSerializer(many=True, help_text="Given in this time.")


USAGE = {
    "prompt_tokens": 55,
    "cached_tokens": 0,
    "completion_tokens": 18,
    "reasoning_tokens": 0,
}
TRACE_ID = "019aa2f3-6a10-7d52-8c11-90b7f2a4c0de"
A_TRACE: dict[str, Any] = {
    "trace_id": TRACE_ID,
    "session_id": "019aa2f3-58d1-7c1e-8f60-3d0d5a2be913",
    "service": "weather",
    "agent_name": "weather",
    "model": "gpt-5",
    "principal": "user:1",
    "status": "answered",
    "request": "Is it raining in Paris?",
    "answer": "No, the sun shines.",
    "error_type": "",
    "error": "",
    "rerun_of": None,
    "attempts": 1,
    "steps": 2,
    "max_steps": 10,
    "spans": 3,
    "errors": 0,
    "usage": USAGE | {"prompt_tokens": 158, "completion_tokens": 45},
    "cost": 0.000412,
    "currency": "USD",
    "started_at": "2026-11-21T08:00:01.200Z",
    "ended_at": "2026-11-21T08:00:02.900Z",
    "duration_ms": 1700,
    "feedback": [
        {
            "principal": "user:1",
            "score": -1.0,
            "comment": "It does rain.",
            "given_at": "2026-11-21T08:00:31.400Z",
        }
    ],
}
A_SPAN: dict[str, Any] = {
    "span_id": "9a1c03d2f4b5e677",
    "trace_id": TRACE_ID,
    "parent_span_id": "5b0e77a1c2d3f498",
    "kind": "tool",
    "name": "get_weather",
    "status": "success",
    "attempt": 1,
    "step": 1,
    "step_id": "call_1",
    "started_at": "2026-11-21T08:00:02.000Z",
    "ended_at": "2026-11-21T08:00:02.140Z",
    "duration_ms": 140,
    "first_token_ms": None,
    "usage": None,
    "cost": None,
    "error": "",
    "inputs": {"args": {"city": "Paris"}},
    "outputs": {"result": "Sunny, 21 degrees."},
    "attributes": None,
}

FIGURES = {
    "count": 120,
    "errors": 2,
    "avg_ms": 140.2,
    "min_ms": 61,
    "max_ms": 1840,
    "p50_ms": 128.4,
    "p95_ms": 301.9,
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "cost": None,
}
STATS_SHAPE: dict[str, Any] = {
    "by": "name",
    "since": "2026-11-21T08:00:00.000Z",
    "until": "2026-11-21T09:00:00.000Z",
    "bucket": "hour",
    "currency": "USD",
    "total": 1,
    "items": [
        {
            "kind": "tool",
            "group": "get_weather",
            **FIGURES,
            "buckets": [{"at": "2026-11-21T08:00:00.000Z", **FIGURES}],
        }
    ],
    "feedback": [
        {"group": "weather", "count": 9, "positive": 8, "negative": 1, "avg_score": 0.778}
    ],
}


def _shown(form: type[Answer], description: str, shape: dict[str, Any]) -> OpenApiResponse:
    example = OpenApiExample("Weather", shape, response_only=True)
    return OpenApiResponse(form, description, [example])


TRACE = _shown(TraceSerializer, "The trace.", A_TRACE)
RERUN = _shown(
    TraceSerializer,
    "The trace of the new run.",
    A_TRACE | {"rerun_of": {"trace_id": "019aa2f1-0b40-7e11-9a5c-5d1f0c7be2a9", "step": 2}},
)
TRACES = _shown(
    TracesSerializer, "A page.", {"items": [A_TRACE], "cursor": TRACE_ID, "complete": True}
)
SPANS = _shown(SpansSerializer, "A page.", {"items": [A_SPAN], "total": 3, "cursor": None})
STATS = _shown(SpanStatsSerializer, "What they took.", STATS_SHAPE)

ERRORS: dict[int, Error] = {
    403: (
        "It is somebody else's, or the page that asks is another site's.",
        "forbidden",
        "This trace belongs to somebody else.",
    ),
    404: ("There is no such trace.", "unknown_trace", "There is no trace '1'."),
    409: (
        "The run has no such step.",
        "unknown_step",
        "There is no step 4: this run can run again from steps 1 to 2.",
    ),
}

READ = conversations.READ
READ_ONE = conversations.READ_ONE
ASK = conversations.ASK


def errors(*statuses: int) -> Responses:
    """What traces add to the errors of conversations."""
    own = {status: refusal_of(status, *ERRORS[status]) for status in statuses if status in ERRORS}
    return conversations.errors(*statuses) | own
