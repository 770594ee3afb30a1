"""The schemas of requests on traces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext
from rest_framework import serializers

from agents.principals import MAX_KEY
from myagent.protocol import MAX_MESSAGE_BYTES
from services.rest.fields import (
    NumberParameter,
    Strict,
    Text,
    Whole,
    WholeParameter,
    WithUnderscores,
)
from services.rest.inputs import MAX_LIMIT, MAX_OFFSET
from traces.models import MAX_NAMED, Trace
from traces.reading.feedback import Kind
from traces.reading.stats import LONGEST, By

EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)
MAX_MS = 2**53 - 1
MAX_COST = 10**9
NEWEST, OLDEST = "newest", "oldest"
MAX_STEP = 2**31 - 1


class TracesQuery(WithUnderscores):
    service = serializers.CharField(max_length=100, required=False, help_text="A service's name.")
    status = serializers.ChoiceField(
        Trace.Status.values, required=False, help_text="How the run ended, or `running`."
    )
    session_id = serializers.CharField(
        max_length=64, required=False, help_text="Those of one conversation."
    )
    model = serializers.CharField(max_length=MAX_NAMED, required=False, help_text="A model's name.")
    principal = serializers.CharField(
        max_length=MAX_KEY, required=False, allow_blank=True,
        help_text="Those of one client; empty: of clients that did not log in.",
    )  # fmt: skip
    since = serializers.DateTimeField(required=False, help_text="The run began then or later.")
    until = serializers.DateTimeField(required=False, help_text="The run began before then.")
    min_duration_ms = WholeParameter(
        min_value=0, max_value=MAX_MS, required=False, help_text="It took so long, or longer."
    )
    min_cost = NumberParameter(
        min_value=0, max_value=MAX_COST, required=False, help_text="It cost so much, or more."
    )
    text = serializers.CharField(
        max_length=1000, required=False, allow_blank=True,
        help_text="In the beginning of the question or of the answer, whatever its case.",
    )  # fmt: skip
    rerun_of = serializers.CharField(
        max_length=36, required=False, help_text="Those that ran this trace's run again."
    )
    errors_ = serializers.BooleanField(
        default=False, help_text="Only those of runs that failed, or a step of which did."
    )
    feedback = serializers.ChoiceField(
        [each.value for each in Kind],
        required=False,
        help_text="What clients said of the answer: somebody liked it, or did not, said anything, "
        "or nobody did.",
    )
    limit = WholeParameter(min_value=1, max_value=MAX_LIMIT, default=50, help_text="Items at most.")
    order = serializers.ChoiceField([NEWEST, OLDEST], default=NEWEST, help_text="Which come first.")
    cursor = serializers.RegexField(
        r"^[0-9a-f-]{36}$", required=False, help_text="The `cursor` of the page before."
    )


class SpansQuery(serializers.Serializer[Any]):
    limit = WholeParameter(
        min_value=1, max_value=MAX_LIMIT, default=100, help_text="Items at most."
    )
    cursor = WholeParameter(
        min_value=0, max_value=MAX_OFFSET, default=0, help_text="The `cursor` of the page before."
    )


class RerunInput(Strict):
    step = Whole(
        min_value=1, max_value=MAX_STEP, default=1,
        help_text="The reply of the model that is asked for again: all before it is kept.",
    )  # fmt: skip
    question = Text(
        required=False, allow_blank=True,
        help_text="Asked instead of the run's own, up to 256 KiB; before the first step only. "
        "Left out or `\"\"`: its own.",
    )  # fmt: skip

    def validate_question(self, value: str) -> str:
        if len(value.encode(errors="replace")) > MAX_MESSAGE_BYTES:
            raise serializers.ValidationError(gettext("It is larger than 256 KiB."))
        if value and not value.strip():
            raise serializers.ValidationError(gettext("The other question is empty."))
        return value


class StatsQuery(serializers.Serializer[Any]):
    by = serializers.ChoiceField(
        [each.value for each in By], default=By.NAME.value, help_text="What is one operation."
    )
    since = serializers.DateTimeField(
        required=False, help_text="The steps ended then or later; a day before `until` if left out."
    )
    until = serializers.DateTimeField(
        required=False, help_text="The steps ended before then; now if left out."
    )
    service = serializers.CharField(max_length=100, required=False, help_text="A service's name.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        until = attrs.setdefault("until", timezone.now())
        if not EARLIEST <= until <= LATEST:
            raise serializers.ValidationError({"until": gettext("It is out of range.")})
        since = attrs.setdefault("since", until - timedelta(days=1))
        if since > until:
            raise serializers.ValidationError({"since": gettext("It is after `until`.")})
        if until - since > LONGEST:
            said = gettext("It is more than {days} days before `until`.").format(days=LONGEST.days)
            raise serializers.ValidationError({"since": said})
        return attrs
