"""Lists, registers, changes and unregisters services. Every view calls a verb and presents the
result."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.admin.models import ADDITION, DELETION
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext
from django_filters.rest_framework import DjangoFilterBackend  # type: ignore[import-untyped]
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from services import access
from services.catalogue import history, registry
from services.models import Service
from services.rest import answers
from services.rest.base import View
from services.rest.controlling import PatientView, supervised
from services.rest.documents import ServiceSerializer
from services.rest.inputs import (
    PageQuery,
    ServiceInput,
    WaitQuery,
    query_of,
    refuse_unread,
    with_defaults,
)
from services.rest.lists import Page, ServiceFilter
from services.rest.showing import shown
from services.supervision import figures
from services.views.observers import Observers


class ServicesView(View, GenericAPIView[Service]):
    is_about_all = False
    queryset = Service.objects.all()
    filter_backends = (DjangoFilterBackend,)
    filterset_class = ServiceFilter
    pagination_class = Page

    def get_queryset(self) -> QuerySet[Service]:
        bound = access.bound_services(self.request)
        found = super().get_queryset()
        return found if bound is None else found.filter(name__in=bound)

    @extend_schema(
        summary="List services",
        tags=["services"],
        responses={200: ServiceSerializer(many=True), **answers.refusals(400, *answers.READ)},
    )
    def get(self, request: Request) -> Response:
        refuse_unread(request, {*ServiceFilter.base_filters, *PageQuery().fields})
        found = self.filter_queryset(self.get_queryset())
        # The id makes the order of equal rows definite, so that pages do not overlap.
        page = self.paginate_queryset(found.order_by(*(found.query.order_by or ["name"]), "pk"))
        seen, observers = figures.read(), Observers.read()
        return self.get_paginated_response(
            [shown(request, each, seen, observers, looks_at_port=False) for each in page or ()]
        )

    @extend_schema(
        summary="Register a service",
        description="With either an agent file, or the address of a service elsewhere.",
        tags=["services"],
        request=ServiceInput,
        examples=[answers.NEW_SERVICE, answers.EXTERNAL_SERVICE],
        responses={
            201: answers.the_service("It is registered.", "stopped"),
            **answers.refusals(*answers.CREATE),
        },
    )
    def post(self, request: Request) -> Response:
        fields = _validated(request)
        environment = fields.pop("environment", None)
        is_to_start = bool(fields.get("auto_start")) and not fields.get("url")
        with supervised(is_needed=is_to_start):
            service = registry.register(environment=environment, is_confined=True, **fields)
        history.note(request.user, service, gettext("Registered over REST."), action=ADDITION)
        where = reverse("service", kwargs={"id": service.pk})
        return Response(
            shown(request, service),
            201,
            headers={"Location": where},
        )


class ServiceView(PatientView):
    arrived: ClassVar[int] = 204

    @extend_schema(
        summary="Show a service",
        tags=["services"],
        parameters=[answers.ID],
        responses={200: answers.the_service("The service."), **answers.refusals(*answers.READ_ONE)},
    )
    def get(self, request: Request, id: str) -> Response:
        return Response(shown(request, registry.find(id)))

    @extend_schema(
        summary="Replace a service's settings",
        description="What is left out gets its default; only `environment` is kept, as nobody can "
        "read it. What concerns its processes holds from their next start on.",
        tags=["services"],
        parameters=[answers.ID],
        request=ServiceInput,
        examples=[answers.NEW_SERVICE],
        responses={
            200: answers.the_service("The service as it is now."),
            **answers.refusals(*answers.CHANGE),
        },
    )
    def put(self, request: Request, id: str) -> Response:
        service = registry.find(id)
        return _change(request, service, with_defaults(_validated(request)))

    @extend_schema(
        summary="Change some of a service's settings",
        description="What is left out stays as it is. What concerns its processes holds from their "
        "next start on.",
        tags=["services"],
        parameters=[answers.ID],
        request=ServiceInput,
        examples=[answers.CHANGED_SERVICE],
        responses={
            200: answers.the_service("The service as it is now."),
            **answers.refusals(*answers.CHANGE),
        },
    )
    def patch(self, request: Request, id: str) -> Response:
        service = registry.find(id)
        return _change(request, service, _validated(request, is_partial=True))

    @extend_schema(
        summary="Unregister a service",
        description="Its instances stop, then it leaves the list.",
        tags=["services"],
        parameters=[answers.ID, WaitQuery],
        request=None,
        responses={
            202: answers.the_service("Its instances are being stopped.", "stopping"),
            204: OpenApiResponse(description="It is gone."),
            **answers.refusals(*answers.CHANGE),
        },
    )
    def delete(self, request: Request, id: str) -> Response:
        query_of(request, WaitQuery)
        service = registry.find(id)
        service_id = service.pk
        with supervised(service, is_needed=not service.is_external):
            registry.unregister(service)
        service.pk = service_id  # A deleted row has none.
        history.note(request.user, service, gettext("Unregistered over REST."), action=DELETION)
        left = Service.objects.filter(pk=service_id).first()
        if left is None:
            return Response(None, 204)
        return Response(shown(request, left), 202)


def _validated(request: Request, *, is_partial: bool = False) -> dict[str, Any]:
    body = ServiceInput(data=request.data, partial=is_partial)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _change(request: Request, service: Service, fields: dict[str, Any]) -> Response:
    environment = fields.pop("environment", None)
    service = registry.change(service, environment=environment, is_confined=True, **fields)
    history.note(request.user, service, gettext("Changed over REST."))
    return Response(shown(request, service))
