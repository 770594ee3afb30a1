"""Filters for lists of services."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q, QuerySet

from services.models import Service


def with_text(services: QuerySet[Service], text: str) -> QuerySet[Service]:
    """The services whose name or description contains the text, case-insensitively."""
    return services.filter(Q(name__icontains=text) | Q(description__icontains=text))


def with_tags(services: QuerySet[Service], tags: Collection[str]) -> QuerySet[Service]:
    """The services that have all of the tags. Reads the tags of all services."""
    # Not every database can search JSON.
    wanted = set(tags)
    tagged = services.values_list("pk", "tags")
    return services.filter(pk__in=[pk for pk, its_own in tagged if wanted <= set(its_own)])
