"""API tokens: made, listed and revoked by who is logged in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.translation import gettext, gettext_noop
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from services.errors import ServiceError
from services.fields import MAX_NAME as MAX_SERVICE_NAME
from services.rest import answers
from services.rest.base import View
from services.rest.fields import Strict, Text, Whole
from services.rest.inputs import MAX_LIMIT, PageQuery, refuse_unread
from services.rest.lists import Page
from services.tokens import issuing
from services.tokens.models import MAX_NAME, RIGHTS, Token

MOST_SECONDS = int(issuing.LONGEST.total_seconds())

ID = OpenApiParameter(
    "id",
    {"type": "string", "minLength": 1, "maxLength": 36},
    OpenApiParameter.PATH,
    description="The token's id.",
)


class IsLoggedIn(BasePermission):
    """A token can't make tokens: whoever finds one would keep the access for good.

    Nor can a program on this machine where nobody has to log in: a token outlives that.
    """

    message = ""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.auth is not None:
            self.message = gettext("A token can't make, list or revoke tokens: log in.")
            return False
        return request.user.is_authenticated


class TokenInput(Strict):
    name = Text(max_length=MAX_NAME)
    services = serializers.ListField(
        child=Text(max_length=MAX_SERVICE_NAME),
        max_length=MAX_LIMIT,
        required=False,
        help_text="The only services that it is good for, by name. All if empty.",
    )
    rights = serializers.ListField(
        child=serializers.ChoiceField(RIGHTS),
        max_length=len(RIGHTS),
        required=False,
        help_text="What it may, as far as its user may. All if empty.",
    )
    expires_in = Whole(
        min_value=1,
        max_value=MOST_SECONDS,
        required=False,
        allow_null=True,
        help_text="Seconds from now. Never if it is left out.",
    )
    user = Text(
        max_length=150,
        required=False,
        help_text="Whose it is, by name; only who may see all tokens names another.",
    )


class TokenSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    user = serializers.CharField()
    services = serializers.ListField(child=serializers.CharField())
    rights = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used = serializers.DateTimeField(allow_null=True)


class NewTokenSerializer(TokenSerializer):
    token = serializers.CharField(help_text="Shown this once.")
    warnings = serializers.ListField(
        child=serializers.CharField(), help_text="Why it can't do all that it was made for."
    )


def _sees_all(request: Request) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _seen_by(request: Request) -> QuerySet[Token]:
    if _sees_all(request):
        return issuing.tokens_of(None)
    return issuing.tokens_of(request.user)  # type: ignore[arg-type]


def _owner(request: Request, named: str | None) -> User:
    """Whose token is to be made. Raises `ServiceError`."""
    assert isinstance(request.user, User)
    if named in (None, request.user.get_username()):
        return request.user
    found = User.objects.filter(username=named).first() if _sees_all(request) else None
    if found is None:
        template = gettext_noop("There is no user '{name}', or it is not for you to act for.")
        raise ServiceError("invalid", template, field="user", name=named)
    return found


class TokensView(View, GenericAPIView[Token]):
    queryset = Token.objects.none()
    permission_classes = (IsLoggedIn,)
    pagination_class = Page

    @extend_schema(
        summary="List your tokens",
        description="A superuser's list has everybody's.",
        tags=["tokens"],
        responses={200: TokenSerializer(many=True), **answers.refusals(400, *answers.READ)},
    )
    def get(self, request: Request) -> Response:
        refuse_unread(request, PageQuery().fields)
        page = self.paginate_queryset(_seen_by(request)) or ()
        return self.get_paginated_response(
            [TokenSerializer(token.as_json()).data for token in page]
        )

    @extend_schema(
        summary="Make a token",
        tags=["tokens"],
        request=TokenInput,
        responses={
            201: OpenApiResponse(NewTokenSerializer, "The token, shown this once."),
            **answers.refusals(*answers.CREATE),
        },
    )
    def post(self, request: Request) -> Response:
        body = TokenInput(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        seconds = said.get("expires_in")
        owner = _owner(request, said.get("user"))
        token, text = issuing.issue(
            owner,
            said["name"],
            services=said.get("services", ()),
            rights=said.get("rights", ()),
            expires=None if seconds is None else timedelta(seconds=seconds),
        )
        warnings = issuing.warnings_about(owner, said.get("rights", ()))
        new = token.as_json() | {"token": text, "warnings": warnings}
        return Response(NewTokenSerializer(new).data, 201)


class TokenView(View):
    permission_classes = (IsLoggedIn,)

    @extend_schema(
        summary="Revoke a token",
        description="What is connected with it is disconnected within seconds.",
        tags=["tokens"],
        parameters=[ID],
        request=None,
        responses={
            204: OpenApiResponse(description="It is revoked."),
            **answers.refusals(401, 403, 404, 413, 415, 503),
        },
    )
    def delete(self, request: Request, id: str) -> Response:
        found = _seen_by(request).filter(pk=id) if id.isprintable() else Token.objects.none()
        if not issuing.revoke(found):
            raise NotFound
        return Response(None, 204)
