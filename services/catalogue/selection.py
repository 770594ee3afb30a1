"""Which services a list shows."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q, QuerySet

from services.models import Service


def with_text(services: QuerySet[Service], text: str) -> QuerySet[Service]:
    """Those whose name or description has the text, whatever its case."""
    return services.filter(Q(name__icontains=text) | Q(description__icontains=text))


def with_tags(services: QuerySet[Service], tags: Collection[str]) -> QuerySet[Service]:
    """Those that have all of the tags. Reads the tags of all."""
    # Not every database can look into JSON.
    wanted = set(tags)
    tagged = services.values_list("pk", "tags")
    return services.filter(pk__in=[pk for pk, its_own in tagged if wanted <= set(its_own)])
