"""The supervisors of machines and of single workers, read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from agents.models import LEASE_HOLDS
from services.admin.read_only import ReadOnly
from services.models import Supervisor

if TYPE_CHECKING:
    SupervisorModelAdmin = admin.ModelAdmin[Supervisor]
else:
    SupervisorModelAdmin = admin.ModelAdmin


@admin.register(Supervisor)
class SupervisorAdmin(ReadOnly, SupervisorModelAdmin):
    list_display = (
        *("node", "service", "process", "is_in_charge", "is_automatic"),
        *("started_at", "lease_until"),
    )
    list_select_related = ("service",)
    list_display_links = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Supervisor]:
        """Annotated with whether each lease is valid by the database's clock."""
        holds = When(LEASE_HOLDS, then=Value(True))
        found = super().get_queryset(request)
        return found.annotate(lease_holds=Case(holds, default=Value(False)))

    @admin.display(description=gettext_lazy("in charge"), boolean=True)
    def is_in_charge(self, supervisor: Supervisor) -> bool:
        holds: bool = supervisor.lease_holds  # type: ignore[attr-defined]
        return holds
