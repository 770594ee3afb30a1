"""Who supervises which machine: to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy

from services.models import Supervisor

if TYPE_CHECKING:
    SupervisorModelAdmin = admin.ModelAdmin[Supervisor]
else:
    SupervisorModelAdmin = admin.ModelAdmin


@admin.register(Supervisor)
class SupervisorAdmin(SupervisorModelAdmin):
    list_display = ("node", "process", "is_in_charge", "is_automatic", "started_at", "lease_until")
    list_display_links = None

    @admin.display(description=gettext_lazy("in charge"), boolean=True)
    def is_in_charge(self, supervisor: Supervisor) -> bool:
        return supervisor.ended_at is None and supervisor.lease_until > timezone.now()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Supervisor | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Supervisor | None = None) -> bool:
        return False
