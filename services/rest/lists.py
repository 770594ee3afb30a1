"""Lists: filtered, ordered and paged, as `{"items", "total", "limit", "offset"}`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import django_filters.fields  # type: ignore[import-untyped]
import django_filters.rest_framework as filters  # type: ignore[import-untyped]
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from services.catalogue import selection
from services.models import Service
from services.rest.inputs import MAX_LIMIT, MAX_OFFSET, PageQuery, query_of

Json = dict[str, Any]

MAX_TEXT = 1000

ORDERS = ("name", "status", "created_at", "started_at", "replicas", "weight")


class OneOfField(django_filters.fields.ChoiceField):  # type: ignore[misc]
    """A choice may be omitted, but not empty."""

    def clean(self, value: str | None) -> Any:
        if value == "":
            raise ValidationError(
                self.error_messages["invalid_choice"], "invalid_choice", {"value": value}
            )
        return super().clean(value)


class OneOf(filters.ChoiceFilter):  # type: ignore[misc]
    field_class = OneOfField


@extend_schema_field({"type": "string", "maxLength": MAX_TEXT, "pattern": r"^[^\u0000]*$"})
class Words(filters.CharFilter):  # type: ignore[misc]
    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_TEXT, **options)


class ServiceFilter(filters.FilterSet):  # type: ignore[misc]
    status = OneOf(choices=Service.Status.choices, help_text="What is observed.")
    desired = OneOf(choices=Service.Desired.choices, help_text="What is asked for.")
    name = Words(lookup_expr="icontains", help_text="In the name, whatever its case.")
    search = Words(method="by_text", help_text="In the name or the description.")
    tags = Words(
        method="by_tags",
        help_text="Separated by commas; a service must have all of them. Empty: no matter which.",
    )
    ordering = filters.OrderingFilter(
        fields=[(name, name) for name in ORDERS], help_text="With a dash before it: backwards."
    )

    def by_text(self, services: QuerySet[Service], _: str, text: str) -> QuerySet[Service]:
        return selection.with_text(services, text)

    def by_tags(self, services: QuerySet[Service], _: str, tags: str) -> QuerySet[Service]:
        return selection.with_tags(
            services, [tag.strip() for tag in tags.split(",") if tag.strip()]
        )


class Page(BasePagination):
    """A page of a list. `?limit=` and `?offset=` are checked."""

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        # The view has checked all other parameters.
        query = query_of(request, PageQuery, beside=request.query_params)
        self._limit: int = query["limit"]
        self._offset: int = query["offset"]
        self._total = queryset.count()
        return list(queryset[self._offset : self._offset + self._limit])

    def get_paginated_response(self, data: Iterable[Json]) -> Response:
        place = {"total": self._total, "limit": self._limit, "offset": self._offset}
        return Response({"items": list(data)} | place)

    def get_paginated_response_schema(self, schema: Json) -> Json:
        number = {"type": "integer", "minimum": 0}
        properties = {"items": schema, "total": number, "limit": number, "offset": number}
        return {"type": "object", "required": list(properties), "properties": properties}

    def get_schema_operation_parameters(self, view: APIView) -> list[Json]:
        limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50}
        offset = {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0}
        return [
            {"name": "limit", "in": "query", "schema": limit, "description": "Items at most."},
            {"name": "offset", "in": "query", "schema": offset, "description": "Items left out."},
        ]
