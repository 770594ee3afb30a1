"""Traces, to read, and what models cost."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib import admin
from django.utils.translation import gettext_lazy

from services.admin.read_only import ReadOnly
from traces.models import NANO, Price, Trace

if TYPE_CHECKING:
    PriceModelAdmin = admin.ModelAdmin[Price]
    TraceModelAdmin = admin.ModelAdmin[Trace]
else:
    PriceModelAdmin = TraceModelAdmin = admin.ModelAdmin


@admin.register(Price)
class PriceAdmin(PriceModelAdmin):
    list_display = ("model", "valid_from", "prompt", "cached", "completion")
    search_fields = ("model",)


@admin.register(Trace)
class TraceAdmin(ReadOnly, TraceModelAdmin):
    list_display = (
        *("id", "status", "service", "request", "started_at", "duration_ms"),
        *("steps", "tokens", "cost"),
    )
    list_filter = ("status", "service")
    search_fields = ("=id", "request", "answer")
    show_full_result_count = False
    fields = (
        *("id", "session_id", "service", "agent", "model", "principal", "status", "request"),
        *("answer", "error", "attempts", "steps", "tokens", "cost", "started_at", "duration_ms"),
    )
    readonly_fields = fields

    @admin.display(description=gettext_lazy("tokens"))
    def tokens(self, trace: Trace) -> int:
        return trace.prompt_tokens + trace.completion_tokens

    @admin.display(description=gettext_lazy("cost"), empty_value="-")
    def cost(self, trace: Trace) -> str | None:
        if trace.cost_nano is None:
            return None
        return f"{Decimal(trace.cost_nano) / NANO:.6f} {settings.MYAGENT_CURRENCY}"
