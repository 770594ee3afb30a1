"""Traces in the admin, read-only, each with its steps; and the prices of models.

Who may see the list may not read what was said: that is the permission to read conversations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, gettext_lazy

from agents.runtime.base_path import address
from agents.terminal.inert import one_line, readable
from services.admin.conversations import may_read
from services.admin.read_only import ReadOnly
from traces.models import NANO, Price, Span, Trace
from traces.reading.describing import duration_ms, spans_of
from traces.reading.feedback import Kind, feedback_json
from traces.reading.finding import Wanted, select

if TYPE_CHECKING:
    TraceModelAdmin = admin.ModelAdmin[Trace]
    PriceModelAdmin = admin.ModelAdmin[Price]
else:
    TraceModelAdmin = admin.ModelAdmin
    PriceModelAdmin = admin.ModelAdmin

SPANS_SHOWN = 500
QUESTION_SHOWN = 80
"""Characters of a question that the list shows."""

FILTERS = {"service", "feedback", "status__exact", "started_at__gte", "started_at__lt"}
"""The parameters of the list's own filters."""

CONTENTS = ("question", "reply", "failure", "comments")
"""Columns and fields that hold what was said."""

NOTHING = "–"

TEXTS = {
    "steps": gettext_lazy("Steps"),
    "no_steps": gettext_lazy("There are no steps."),
    "more": gettext_lazy("The first steps only; manage.py traces show has all."),
    "step": gettext_lazy("Step"),
    "kind": gettext_lazy("Kind"),
    "name": gettext_lazy("Name"),
    "status": gettext_lazy("Status"),
    "attempt": gettext_lazy("Attempt"),
    "started": gettext_lazy("Started"),
    "duration": gettext_lazy("Duration"),
    "first_text": gettext_lazy("First text"),
    "tokens": gettext_lazy("Tokens"),
    "cost": gettext_lazy("Cost"),
    "error": gettext_lazy("Error"),
}


class ServiceFilter(admin.SimpleListFilter):
    title = gettext_lazy("service")
    parameter_name = "service"

    def lookups(self, request: HttpRequest, model_admin: TraceModelAdmin) -> list[tuple[str, str]]:
        names = Trace.objects.order_by("service").values_list("service", flat=True).distinct()
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Trace]) -> QuerySet[Trace]:
        wanted = self.value()
        return queryset if wanted is None else queryset.filter(service=wanted)


class FeedbackFilter(admin.SimpleListFilter):
    title = gettext_lazy("feedback")
    parameter_name = "feedback"

    def lookups(self, request: HttpRequest, model_admin: TraceModelAdmin) -> list[tuple[str, Any]]:
        return [
            (Kind.POSITIVE.value, gettext_lazy("positive")),
            (Kind.NEGATIVE.value, gettext_lazy("negative")),
            (Kind.ANY.value, gettext_lazy("with feedback")),
            (Kind.NONE.value, gettext_lazy("without feedback")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Trace]) -> QuerySet[Trace]:
        wanted = self.value()
        if wanted not in list(Kind):
            return queryset
        return queryset.filter(pk__in=select(Wanted(feedback=Kind(wanted))).values("pk"))


@admin.register(Trace)
class TraceAdmin(ReadOnly, TraceModelAdmin):
    list_display = (
        *("status", "agent_name", "question", "steps"),
        *("tokens", "cost", "took", "scores", "started_at"),
    )
    list_filter = (ServiceFilter, "status", FeedbackFilter, "started_at")
    list_per_page = 100
    ordering = ("-pk",)
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    fields = (
        *("trace", "conversation", "rerun", "status", "service", "agent_name", "model"),
        *(
            "principal",
            "question",
            "reply",
            "failure",
            "attempts",
            "steps",
            "tokens",
            "cost",
            "took",
            "scores",
            "comments",
            "started_at",
        ),
    )
    readonly_fields = fields
    change_form_template = "admin/traces/trace/change_form.html"

    class Media:
        css = {"all": ["css/admin.css"]}  # noqa: RUF012

    def view_on_site(self, obj: Trace) -> str:
        """The page of the trace."""
        return address(f"/traces/{obj.pk}/")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what the list's own filters ask: others would find out what no page shows."""
        return lookup in FILTERS

    def get_list_display(self, request: HttpRequest) -> Any:
        return _allowed(self.list_display, request)

    def get_fields(self, request: HttpRequest, obj: Trace | None = None) -> Any:
        return _allowed(self.fields, request)

    def get_search_fields(self, request: HttpRequest) -> Any:
        return ("request", "answer") if may_read(request) else ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Trace], search_term: str
    ) -> tuple[QuerySet[Trace], bool]:
        if not (search_term and may_read(request)):
            return queryset, False
        is_named = Q(pk=search_term.strip())
        found = select(Wanted(text=search_term)).values("pk")
        return queryset.filter(is_named | Q(pk__in=found)), False

    @admin.display(description=gettext_lazy("trace"))
    def trace(self, trace: Trace) -> str:
        return trace.pk

    @admin.display(description=gettext_lazy("conversation"))
    def conversation(self, trace: Trace) -> str:
        return trace.session_id

    @admin.display(description=gettext_lazy("runs again"))
    def rerun(self, trace: Trace) -> str:
        if not trace.rerun_of:
            return NOTHING
        said = gettext("{trace}, from step {step}")
        return said.format(trace=trace.rerun_of, step=trace.rerun_step)

    @admin.display(description=gettext_lazy("agent"), ordering="agent")
    def agent_name(self, trace: Trace) -> str:
        return trace.agent or trace.service

    @admin.display(description=gettext_lazy("question"))
    def question(self, trace: Trace) -> str:
        return one_line(trace.request, QUESTION_SHOWN) or NOTHING

    @admin.display(description=gettext_lazy("answer"))
    def reply(self, trace: Trace) -> str:
        return readable(trace.answer) or NOTHING

    @admin.display(description=gettext_lazy("error"))
    def failure(self, trace: Trace) -> str:
        return readable(trace.error) or NOTHING

    @admin.display(description=gettext_lazy("tokens"))
    def tokens(self, trace: Trace) -> str:
        return _tokens(trace)

    @admin.display(description=gettext_lazy("cost"), ordering="cost_nano")
    def cost(self, trace: Trace) -> str:
        return _cost(trace.cost_nano)

    @admin.display(description=gettext_lazy("duration"), ordering="duration_ms")
    def took(self, trace: Trace) -> str:
        return _ms(trace.duration_ms)

    @admin.display(description=gettext_lazy("feedback"))
    def scores(self, trace: Trace) -> str:
        return " ".join(f"{each['score']:+.3g}" for each in feedback_json(trace)) or NOTHING

    @admin.display(description=gettext_lazy("comments"))
    def comments(self, trace: Trace) -> str:
        said = (readable(each["comment"]) for each in feedback_json(trace))
        return "\n".join(filter(None, said)) or NOTHING

    def get_queryset(self, request: HttpRequest) -> QuerySet[Trace]:
        return super().get_queryset(request).prefetch_related("feedback")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        given: dict[str, Any] = {"texts": TEXTS}
        trace = Trace.objects.filter(pk=object_id).first()
        if trace is not None and self.has_view_permission(request):
            spans = list(spans_of(trace)[: SPANS_SHOWN + 1])
            may_see = may_read(request)
            given["spans"] = [_row(each, may_read=may_see) for each in spans[:SPANS_SHOWN]]
            given["has_more"] = len(spans) > SPANS_SHOWN
        return super().change_view(request, object_id, form_url, given)


@admin.register(Price)
class PriceAdmin(PriceModelAdmin):
    list_display = ("model", "valid_from", "prompt", "cached", "completion")
    search_fields = ("model",)


def _allowed(names: tuple[str, ...], request: HttpRequest) -> tuple[str, ...]:
    """Without what holds what was said, if the client may not read it."""
    if may_read(request):
        return names
    return tuple(name for name in names if name not in CONTENTS)


def _row(span: Span, *, may_read: bool) -> dict[str, Any]:
    return {
        "attempt": span.attempt,
        "step": span.step,
        "kind": span.kind,
        "name": readable(span.name),
        "status": span.get_status_display(),
        "started": span.started_at,
        "duration": _ms(duration_ms(span)),
        "first_text": _ms(span.first_token_ms),
        "tokens": _tokens(span) if span.kind == Span.Kind.THINK else NOTHING,
        "cost": _cost(span.cost_nano),
        "error": readable(span.error) if may_read else "",
    }


def _tokens(row: Trace | Span) -> str:
    return f"{row.prompt_tokens} + {row.completion_tokens}"


def _cost(nano: int | None) -> str:
    return NOTHING if nano is None else f"{nano / NANO:.6f} {settings.MYAGENT_CURRENCY}".strip()


def _ms(milliseconds: int | None) -> str:
    return NOTHING if milliseconds is None else f"{milliseconds} ms"
