"""What somebody reads on a page of the admin."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import LogEntry

from services.models import Service


def sentences(response: Any) -> list[str]:
    """The messages on top of a page."""
    return [str(message) for message in response.context["messages"]]


def history_of(service: Service) -> list[tuple[str, str]]:
    """Who did what, oldest first."""
    entries = LogEntry.objects.filter(object_id=service.pk).order_by("action_time", "pk")
    return [(entry.user.get_username(), entry.get_change_message()) for entry in entries]


def page_of(service: Service, what: str = "change") -> str:
    return f"/admin/services/service/{service.pk}/{what}/"
