"""Filters services by tag and by word. Tags are JSON, which not every database can search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from services.models import Service
from services.views.observers import UNKNOWN, Observers

if TYPE_CHECKING:
    ServiceModelAdmin = admin.ModelAdmin[Service]

MAX_WORDS = 10
"""Number of words of a search that are used."""


class StatusFilter(admin.SimpleListFilter):
    """Filters by the status shown, which is `unknown` where the stored one is too old."""

    title = gettext_lazy("status")
    parameter_name = "status__exact"

    def lookups(
        self, request: HttpRequest, model_admin: ServiceModelAdmin
    ) -> list[tuple[str, Any]]:
        return [*Service.Status.choices, (UNKNOWN, gettext_lazy("unknown"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Service]) -> QuerySet[Service]:
        wanted = self.value()
        return queryset if wanted is None else Observers.read().with_status(queryset, wanted)


class TagFilter(admin.SimpleListFilter):
    title = gettext_lazy("tag")
    parameter_name = "tag"

    def lookups(
        self, request: HttpRequest, model_admin: ServiceModelAdmin
    ) -> list[tuple[str, str]]:
        tags = {tag for _, tags in _tags() for tag in tags}
        return [(tag, tag) for tag in sorted(tags)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Service]) -> QuerySet[Service]:
        wanted = self.value()
        if wanted is None:
            return queryset
        return queryset.filter(pk__in=[pk for pk, tags in _tags() if wanted in tags])


def matching(services: QuerySet[Service], text: str) -> QuerySet[Service]:
    """The services whose name, description or tags contain every word."""
    words = text.split()[:MAX_WORDS]
    tags = [(pk, " ".join(tags).casefold()) for pk, tags in _tags()] if words else []
    for word in words:
        tagged = [pk for pk, joined in tags if word.casefold() in joined]
        services = services.filter(
            Q(name__icontains=word) | Q(description__icontains=word) | Q(pk__in=tagged)
        )
    return services


def _tags() -> list[tuple[Any, list[str]]]:
    return list(Service.objects.values_list("pk", "tags").order_by())
