"""Routing rules over REST. Every view calls a verb and presents the result."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.admin.models import ADDITION, DELETION
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from services import access
from services.catalogue import history
from services.models import RoutingRule
from services.rest import answers
from services.rest.base import MayOnServices, View
from services.rest.inputs import PageQuery, refuse_unread
from services.rest.lists import Page
from services.rest.rule_schemas import (
    CHANGED_RULE,
    FACTS,
    ID,
    NEW_RULE,
    ExplanationSerializer,
    FactsInput,
    RuleInput,
    RuleSerializer,
)
from services.routing import asking, rulebook
from services.routing.rule_fields import RULE
from services.routing.rules import Facts
from services.views.rules import rule_json


class MayOnRules(MayOnServices):
    """The same for rules, which concern all services: not for a token that is bound to some."""

    VIEW: ClassVar = "services.view_routingrule"
    BY_METHOD: ClassVar = {
        "POST": "services.add_routingrule",
        "PUT": "services.change_routingrule",
        "PATCH": "services.change_routingrule",
        "DELETE": "services.delete_routingrule",
    }

    def has_permission(self, request: Request, view: APIView) -> bool:
        # The id in the path is a rule's, never that of a service.
        if access.bound_services(request) is not None:
            self.message = access.why_not_within(request)
            return False
        return super().has_permission(request, view)


class RulesView(View, GenericAPIView[RoutingRule]):
    permission_classes = (MayOnRules,)
    queryset: QuerySet[RoutingRule] = RoutingRule.objects.order_by(
        "priority", "-weight", "name", "pk"
    )
    pagination_class = Page

    @extend_schema(
        summary="List the rules",
        description="In the order in which they apply.",
        tags=["routing"],
        responses={200: RuleSerializer(many=True), **answers.refusals(400, *answers.READ)},
    )
    def get(self, request: Request) -> Response:
        refuse_unread(request, PageQuery().fields)
        page = self.paginate_queryset(self.get_queryset())
        known = rulebook.registered()
        return self.get_paginated_response([rule_json(each, known) for each in page or ()])

    @extend_schema(
        summary="Add a rule",
        description="It holds for clients that name no service, from now on.",
        tags=["routing"],
        request=RuleInput,
        examples=[NEW_RULE],
        responses={
            201: OpenApiResponse(RuleSerializer, "It is added."),
            **answers.refusals(*answers.CREATE),
        },
    )
    def post(self, request: Request) -> Response:
        rule = rulebook.add(**_validated(request))
        history.note(request.user, rule, gettext("Added over REST."), action=ADDITION)
        where = reverse("rule", kwargs={"id": rule.pk})
        return Response(_described(rule), 201, headers={"Location": where})


class RuleView(View):
    permission_classes = (MayOnRules,)

    @extend_schema(
        summary="Show a rule",
        tags=["routing"],
        parameters=[ID],
        responses={200: RuleSerializer, **answers.refusals(*answers.READ_ONE)},
    )
    def get(self, request: Request, id: str) -> Response:
        return Response(_described(rulebook.find(id)))

    @extend_schema(
        summary="Replace a rule",
        description="What is left out gets its default.",
        tags=["routing"],
        parameters=[ID],
        request=RuleInput,
        examples=[NEW_RULE],
        responses={200: RuleSerializer, **answers.refusals(*answers.CHANGE)},
    )
    def put(self, request: Request, id: str) -> Response:
        new, rule = RoutingRule(), rulebook.find(id)
        defaults = {name: getattr(new, name) for name in RULE if name != "name"}
        return _change(request, rule, defaults | _validated(request))

    @extend_schema(
        summary="Change some of a rule's settings",
        description="What is left out stays as it is.",
        tags=["routing"],
        parameters=[ID],
        request=RuleInput,
        examples=[CHANGED_RULE],
        responses={200: RuleSerializer, **answers.refusals(*answers.CHANGE)},
    )
    def patch(self, request: Request, id: str) -> Response:
        return _change(request, rulebook.find(id), _validated(request, is_partial=True))

    @extend_schema(
        summary="Remove a rule",
        tags=["routing"],
        parameters=[ID],
        request=None,
        responses={
            204: OpenApiResponse(description="It is gone."),
            **answers.refusals(*answers.CHANGE),
        },
    )
    def delete(self, request: Request, id: str) -> Response:
        rule = rulebook.find(id)
        rulebook.remove(rule)
        history.note(request.user, rule, gettext("Removed over REST."), action=DELETION)
        return Response(None, 204)


class ExplainView(View):
    permission_classes = (MayOnRules,)
    permission = MayOnRules.VIEW

    @extend_schema(
        summary="Explain a decision",
        description="Which service a client with these facts would get that names none, and why. "
        "Where services take turns, or chance decides, the next client may get another one.",
        tags=["routing"],
        request=FactsInput,
        examples=[FACTS],
        responses={200: ExplanationSerializer, **answers.refusals(400, 413, 415, *answers.READ)},
    )
    def post(self, request: Request) -> Response:
        body = FactsInput(data=request.data)
        body.is_valid(raise_exception=True)
        given: dict[str, Any] = dict(body.validated_data)
        headers = {name.lower(): value for name, value in given.pop("headers", {}).items()}
        query = {name: [value] for name, value in given.pop("query", {}).items()}
        return Response(asking.explain(Facts(headers=headers, query=query, **given)))


def _validated(request: Request, *, is_partial: bool = False) -> dict[str, Any]:
    body = RuleInput(data=request.data, partial=is_partial)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _change(request: Request, rule: RoutingRule, fields: dict[str, Any]) -> Response:
    rule = rulebook.change(rule, **fields)
    history.note(request.user, rule, gettext("Changed over REST."))
    return Response(_described(rule))


def _described(rule: RoutingRule) -> dict[str, Any]:
    return rule_json(rule, rulebook.registered())
