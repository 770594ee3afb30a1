"""Read-only information on a service and on the site."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.db import connection
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from agents.runtime.base_path import address
from myagent.protocol import timestamp
from services.catalogue import registry
from services.logs import reading as logs
from services.models import Instance
from services.rest import answers, documents
from services.rest.base import View
from services.rest.inputs import HealthQuery, InstancesQuery, LogQuery, PageQuery, query_of
from services.rest.lists import Page
from services.routing.endpoints import endpoint_of, site_of
from services.views.describing import instance_json, service_health, service_stats, system_stats
from services.views.observers import Observers

Method = TypeVar("Method", bound=Callable[..., Response])


def _documented(
    summary: str, document: Any, *errors: int, tag: str = "watching", query: Any = None
) -> Callable[[Method], Method]:
    parameters: list[Any] = [] if tag == "site" else [answers.ID]
    return extend_schema(
        summary=summary,
        tags=[tag],
        parameters=[*parameters, *([query] if query else [])],
        responses={200: document, **answers.refusals(*errors)},
    )


RESOURCES = {
    "services": "/api/v1/services",
    "rules": "/api/v1/routing/rules",
    "sessions": "/api/v1/sessions",
    "traces": "/api/v1/traces",
    "connections": "/api/v1/connections",
    "stats": "/api/v1/stats",
    "tokens": "/api/v1/tokens",
    "info": "/api/v1/info",
    "schema": "/api/schema/",
    "docs": "/docs",
}
"""The addresses of the other resources, from the root of the site."""


class ResourcesView(View):
    is_about_all = False

    @_documented("What there is", documents.ResourcesSerializer, *answers.READ, tag="site")
    def get(self, request: Request) -> Response:
        found = {
            name: request.build_absolute_uri(address(path)) for name, path in RESOURCES.items()
        }
        return Response(found)


class InfoView(View):
    is_about_all = False

    @_documented("What this site is", documents.InfoSerializer, *answers.READ, tag="site")
    def get(self, request: Request) -> Response:
        return Response(
            {
                "name": "MyAgent Site",
                "version": settings.VERSION,
                "api_version": "v1",
                "database": connection.vendor,
                "auth": settings.MYAGENT_AUTH,
                "timestamp": timestamp(),
            }
        )


class StatsView(View):
    @_documented("Counts of the whole site", documents.StatsSerializer, *answers.READ, tag="site")
    def get(self, request: Request) -> Response:
        return Response(system_stats())


class ServiceStatsView(View):
    @_documented("A service's counts", documents.ServiceStatsSerializer, *answers.READ_ONE)
    def get(self, request: Request, id: str) -> Response:
        return Response(service_stats(registry.find(id)))


class ServiceHealthView(View):
    @_documented(
        "A service's health, and its last checks",
        documents.HealthSerializer,
        400,
        *answers.READ_ONE,
        query=HealthQuery,
    )
    def get(self, request: Request, id: str) -> Response:
        query = query_of(request, HealthQuery)
        return Response(service_health(registry.find(id), site_of(request), query["limit"]))


class InstancesView(View, GenericAPIView[Instance]):
    queryset = Instance.objects.none()
    pagination_class = Page

    @_documented(
        "A service's instances, the newest first",
        documents.InstanceSerializer(many=True),
        400,
        *answers.READ_ONE,
        query=InstancesQuery,
    )
    def get(self, request: Request, id: str) -> Response:
        wanted = query_of(request, InstancesQuery, beside=PageQuery().fields)["which"]
        service = registry.find(id)
        endpoint = endpoint_of(service, site_of(request))
        found = service.instances.order_by("-launched_at", "pk")
        if wanted == "live":
            found = found.filter(live_slot__isnull=False)
        page = self.paginate_queryset(found) or ()
        observers = Observers.read(service)
        return self.get_paginated_response(
            [instance_json(each, endpoint, observers) for each in page]
        )


class LogsView(View):
    @_documented(
        "The last lines of a service's log",
        documents.LogSerializer,
        400,
        409,
        *answers.READ_ONE,
        query=LogQuery,
    )
    def get(self, request: Request, id: str) -> Response:
        query = query_of(request, LogQuery)
        service = registry.find(id)
        instance = logs.instance_of(service, query.get("instance"))
        lines = [] if instance is None else logs.tail_of(instance, query["tail"])
        instance_id = None if instance is None else instance.pk
        return Response({"service_id": service.pk, "instance_id": instance_id, "lines": lines})
