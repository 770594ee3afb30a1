"""What happened inside runs. The rows are written with the log entries that they are about."""

from __future__ import annotations

from decimal import Decimal

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext, gettext_lazy

from agents import principals
from agents.models import Run, Session
from myagent.protocol import MAX_COMMENT

MAX_EXCERPT = 500
"""Characters of a question, an answer or an error that a trace keeps; the log has the rest."""

MAX_NAMED = 191
"""Characters of the name of an agent or a model."""

NANO = 1_000_000_000
"""Costs are kept in billionths of the currency of the site's prices."""

PARTS_LEFT_OUT = "myagent.parts_left_out"
"""The attribute of a tool's span with the number of parts of its work that were too many."""

NEVER_RAN = "myagent.never_ran"
"""The attribute, true, of the span of a tool that ended while it waited for a yes."""


class Trace(models.Model):
    """One run, from its start to its end, over all attempts.

    `request` and `answer` are the beginnings of the question and the answer; they are empty where
    `content` is off. `steps` counts the model's replies; `span_count`, the spans that have ended by
    themselves; `error_count`, those of them that failed. `cost_nano`: null if a model has no price.
    """

    class Status(models.TextChoices):
        RUNNING = Run.Status.RUNNING, gettext_lazy("running")
        ANSWERED = Run.Status.ANSWERED, gettext_lazy("answered")
        FAILED = Run.Status.FAILED, gettext_lazy("failed")
        INTERRUPTED = Run.Status.INTERRUPTED, gettext_lazy("interrupted")
        TIMED_OUT = Run.Status.TIMED_OUT, gettext_lazy("timed out")

    class Content(models.TextChoices):
        """What people may see of messages, arguments and results."""

        ON = "on"
        REDACTED = "redacted"
        OFF = "off"

    id = models.CharField(max_length=36, primary_key=True)
    """The run's id."""
    traceparent = models.CharField(max_length=55, default="", db_default="")
    """The client's span under which it ran, as W3C Trace Context writes it."""
    rerun_of = models.CharField(max_length=36, default="", db_default="")
    """The trace whose run ran again, which may have been removed since; '' for a run of its own."""
    rerun_step = models.PositiveIntegerField(default=0, db_default=0)
    """The step that it ran again from."""
    # Its constraint would lock the session's row. Traces are removed with their session.
    session = models.ForeignKey(Session, models.CASCADE, related_name="traces", db_constraint=False)
    service = models.CharField(gettext_lazy("service"), max_length=100)
    agent = models.CharField(gettext_lazy("agent"), max_length=MAX_NAMED, default="")
    model = models.CharField(gettext_lazy("model"), max_length=MAX_NAMED, default="")
    principal = models.CharField(gettext_lazy("client"), max_length=principals.MAX_KEY, default="")
    status = models.CharField(gettext_lazy("status"), max_length=16, choices=Status.choices)
    content = models.CharField(max_length=8, choices=Content.choices, default=Content.ON)
    request = models.CharField(gettext_lazy("question"), max_length=MAX_EXCERPT, default="")
    answer = models.CharField(gettext_lazy("answer"), max_length=MAX_EXCERPT, default="")
    error_type = models.CharField(max_length=64, default="")
    error = models.CharField(gettext_lazy("error"), max_length=MAX_EXCERPT, default="")
    max_steps = models.PositiveIntegerField(null=True)
    attempts = models.PositiveIntegerField(gettext_lazy("attempts"), default=1)
    steps = models.PositiveIntegerField(gettext_lazy("steps"), default=0)
    span_count = models.PositiveIntegerField(default=0)
    error_count = models.PositiveIntegerField(default=0)
    prompt_tokens = models.PositiveBigIntegerField(default=0)
    cached_tokens = models.PositiveBigIntegerField(default=0)
    completion_tokens = models.PositiveBigIntegerField(default=0)
    reasoning_tokens = models.PositiveBigIntegerField(default=0)
    cost_nano = models.PositiveBigIntegerField(null=True)
    started_at = models.DateTimeField(gettext_lazy("started"))
    ended_at = models.DateTimeField(null=True)
    duration_ms = models.PositiveBigIntegerField(null=True)

    class Meta:
        verbose_name = gettext_lazy("trace")
        verbose_name_plural = gettext_lazy("traces")
        # Ids are in the order of time.
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["service", "id"], name="trace_by_service"),
            models.Index(fields=["principal", "id"], name="trace_by_principal"),
            models.Index(fields=["rerun_of"], name="trace_by_origin"),
        ]

    def __str__(self) -> str:
        return self.id


class Span(models.Model):
    """One step of a run: a model's reply (`think`), the work of a tool (`tool`), or a part of that
    which the tool's code recorded itself (`work`).

    `span_id` is derived from what the span is about (see `myagent.span_ids`). `step` is the number
    of the model's reply, or of the one that called the tool, whose call is `step_id`. The session's
    log holds what went in and out: a reply and a result at `end_seq`, arguments at `start_seq`;
    0 where there is none. The parent of a tool's span follows from `step`; that of a part of it is
    `parent_id`, and `attributes` are a JSON object, as far as the trace may show them; those of a
    tool say how many parts were left out, or that it never ran.
    """

    class Kind(models.TextChoices):
        THINK = "think"
        TOOL = "tool"
        WORK = "work"

    class Status(models.TextChoices):
        """Of a model's reply: `running`, `success`, `error`, `cancelled` or `cut_off`."""

        RUNNING = "running", gettext_lazy("running")
        WAITING = "waiting", gettext_lazy("waits for a confirmation")
        SUCCESS = "success", gettext_lazy("success")
        ERROR = "error", gettext_lazy("error")
        CANCELLED = "cancelled", gettext_lazy("cancelled")
        DECLINED = "declined", gettext_lazy("declined")
        UNKNOWN = "unknown", gettext_lazy("outcome unknown")
        CUT_OFF = "cut_off", gettext_lazy("cut off")

    OPEN = (Status.RUNNING, Status.WAITING)

    # Its constraint is its index.
    trace = models.ForeignKey(
        Trace, models.CASCADE, related_name="spans", db_constraint=False, db_index=False
    )
    span_id = models.CharField(max_length=16)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=16, choices=Status.choices)
    attempt = models.PositiveIntegerField()
    step = models.PositiveIntegerField()
    step_id = models.CharField(max_length=64, default="")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    duration_ms = models.PositiveBigIntegerField(null=True)
    first_token_ms = models.PositiveIntegerField(null=True)
    prompt_tokens = models.PositiveBigIntegerField(default=0)
    cached_tokens = models.PositiveBigIntegerField(default=0)
    completion_tokens = models.PositiveBigIntegerField(default=0)
    reasoning_tokens = models.PositiveBigIntegerField(default=0)
    cost_nano = models.PositiveBigIntegerField(null=True)
    start_seq = models.PositiveBigIntegerField(default=0)
    end_seq = models.PositiveBigIntegerField(default=0)
    error = models.CharField(max_length=MAX_EXCERPT, default="")
    parent_id = models.CharField(max_length=16, default="", db_default="")
    attributes = models.TextField(null=True)  # noqa: DJ001 - null means 'none'

    class Meta:
        verbose_name = gettext_lazy("span")
        verbose_name_plural = gettext_lazy("spans")
        constraints = [
            models.UniqueConstraint(fields=["trace", "span_id"], name="span_once"),
        ]
        indexes = [
            models.Index(fields=["ended_at"], name="span_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.trace_id}:{self.span_id} {self.name}"


class Feedback(models.Model):
    """The last word of one client, `principal`, on what a run's answer is worth.

    `score` is from -1 to 1; null: taken back. `comment` is empty where `content` is off.
    `service` and `model` are those of the trace.
    """

    # Its constraint is its index.
    trace = models.ForeignKey(
        Trace, models.CASCADE, related_name="feedback", db_constraint=False, db_index=False
    )
    principal = models.CharField(max_length=principals.MAX_KEY, default="")
    service = models.CharField(max_length=100)
    model = models.CharField(max_length=MAX_NAMED, default="")
    score = models.FloatField(null=True)
    comment = models.CharField(max_length=MAX_COMMENT, default="")
    given_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["trace", "principal"], name="feedback_once"),
        ]
        indexes = [
            models.Index(fields=["given_at"], name="feedback_by_time"),
            models.Index(fields=["trace", "score"], name="feedback_by_score"),
        ]

    def __str__(self) -> str:
        return f"{self.score} for {self.trace_id}"


class SpanCounts(models.Model):
    """What one operation did from `start` on, by the ends of its spans. Written once.

    See `traces.statistics.tally`; `histogram` is JSON, `{bucket: count}`.
    """

    start = models.DateTimeField()
    service = models.CharField(max_length=100)
    kind = models.CharField(max_length=8, choices=Span.Kind.choices)
    name = models.CharField(max_length=200)
    model = models.CharField(max_length=MAX_NAMED)
    count = models.PositiveBigIntegerField()
    errors = models.PositiveBigIntegerField()
    sum_ms = models.PositiveBigIntegerField()
    min_ms = models.PositiveBigIntegerField(null=True)
    max_ms = models.PositiveBigIntegerField(null=True)
    prompt_tokens = models.PositiveBigIntegerField()
    completion_tokens = models.PositiveBigIntegerField()
    cost_nano = models.PositiveBigIntegerField(null=True)
    histogram = models.TextField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:00} {self.service} {self.name}"


class SpanHour(SpanCounts):
    """In one hour."""

    class Meta:
        indexes = [models.Index(fields=["start"], name="span_hour_by_start")]


class SpanDay(SpanCounts):
    """In one day (UTC)."""

    class Meta:
        indexes = [models.Index(fields=["start"], name="span_day_by_start")]


class RolledUp(models.Model):
    """One row: spans that ended before `until`, a whole hour, are counted in `SpanHour`.

    In `SpanDay` are the days before that of the last hour.
    """

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"until {self.until:%Y-%m-%d %H:00}"


class Price(models.Model):
    """What a model costs from `valid_from` on, in the site's currency for a million tokens.

    `model`: its name, or the start of names and `*`. The longest that fits a model counts, and of
    those the newest that is valid.
    """

    model = models.CharField(gettext_lazy("model"), max_length=MAX_NAMED)
    valid_from = models.DateTimeField(gettext_lazy("valid from"))
    prompt = models.DecimalField(
        gettext_lazy("prompt"),
        max_digits=12,
        decimal_places=6,
        validators=[MinValueValidator(Decimal(0))],
    )
    cached = models.DecimalField(
        gettext_lazy("prompt, cached"),
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
        help_text=gettext_lazy("Empty: as the rest of the prompt."),
    )
    completion = models.DecimalField(
        gettext_lazy("completion"),
        max_digits=12,
        decimal_places=6,
        validators=[MinValueValidator(Decimal(0))],
    )

    class Meta:
        verbose_name = gettext_lazy("price")
        verbose_name_plural = gettext_lazy("prices")
        ordering = ["model", "-valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["model", "valid_from"], name="price_once"),
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.valid_from:%Y-%m-%d}"

    def clean(self) -> None:
        if "*" in self.model[:-1]:
            said = gettext("* stands for the rest of a name: it can only be the last of it.")
            raise ValidationError({"model": said})


class Label(models.Model):
    """The conversation that a client of the trace dialect knows by a label.

    `key`: see `traces.sockets.labels.place_of`.
    """

    key = models.CharField(max_length=32, primary_key=True)
    # Its constraint would lock the session's row.
    session = models.ForeignKey(Session, models.CASCADE, related_name="labels", db_constraint=False)

    def __str__(self) -> str:
        return f"{self.key} is {self.session_id}"


class Waiting(models.Model):
    """A finished trace that is to be sent to a receiver of OTLP; removed once it was.

    Whoever sets `claim` has it until `due_at`; then it is anybody's again. `tries`: how often it
    could not be sent.
    """

    id = models.CharField(max_length=36, primary_key=True)
    """The trace's."""
    ended_at = models.DateTimeField()
    due_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0)
    claim = models.CharField(max_length=36, default="")

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="waiting_by_due")]

    def __str__(self) -> str:
        return self.id
