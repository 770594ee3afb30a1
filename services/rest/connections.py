"""The open connections: who is connected where; and closing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import django_filters.rest_framework as filters  # type: ignore[import-untyped]
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from agents.models import Connection
from agents.sockets import register
from myagent.protocol import timestamp
from services.connecting import close
from services.rest import answers
from services.rest.base import View
from services.rest.inputs import PageQuery, query_of, refuse_unread
from services.rest.lists import Page, Words
from services.tokens.judging import names_of

ID = OpenApiParameter(
    "id",
    {"type": "string", "minLength": 1, "maxLength": 36},
    OpenApiParameter.PATH,
    description="The connection_id, which the client has from `system.connected`.",
)


class ConnectionSerializer(serializers.Serializer[Any]):
    connection_id = serializers.CharField()
    service = serializers.CharField(
        help_text="The addressed service, else that of the first session; empty before that."
    )
    server_id = serializers.CharField()
    host = serializers.CharField(help_text="The machine of the server.")
    path = serializers.CharField()
    client_ip = serializers.CharField()
    user_agent = serializers.CharField()
    principal = serializers.CharField(help_text="Who it is; empty if nobody had to say.")
    user = serializers.CharField(help_text="The name of that account.")
    connected_at = serializers.DateTimeField()


class ConnectionFilter(filters.FilterSet):  # type: ignore[misc]
    service = Words(field_name="service", help_text="The name of a service.")
    server = Words(field_name="server_id", help_text="The `server_id` of a server.")


class NoQuery(serializers.Serializer[Any]):
    """No parameters."""


class ConnectionsView(View, GenericAPIView[Connection]):
    permission = "agents.view_connection"
    queryset = Connection.objects.none()
    filter_backends = (DjangoFilterBackend,)
    filterset_class = ConnectionFilter
    pagination_class = Page

    @extend_schema(
        summary="List open connections",
        description="Sockets of all servers, the newest first. A new one is listed within a "
        "second.",
        tags=["connections"],
        responses={200: ConnectionSerializer(many=True), **answers.refusals(400, *answers.READ)},
    )
    def get(self, request: Request) -> Response:
        refuse_unread(request, {*ConnectionFilter.base_filters, *PageQuery().fields})
        found = self.filter_queryset(register.alive().select_related("server"))
        page = self.paginate_queryset(found) or ()
        names = names_of({each.principal for each in page if each.principal})
        return self.get_paginated_response([connection_json(each, names) for each in page])


class ConnectionView(View):
    permission = "agents.delete_connection"

    @extend_schema(
        summary="Close a connection",
        description="Its server closes it within a second, with `system.error` `forbidden` and "
        "4003. Sessions and answers under way go on.",
        tags=["connections"],
        parameters=[ID],
        request=None,
        responses={
            202: OpenApiResponse(description="Its server is asked to close it."),
            **answers.refusals(*answers.CHANGE),
        },
    )
    def delete(self, request: Request, id: str) -> Response:
        query_of(request, NoQuery)
        close(id)
        return Response(None, 202)


def connection_json(connection: Connection, names: Mapping[str, str]) -> dict[str, Any]:
    """`names`: of accounts, by the keys of their principals."""
    return {
        "connection_id": connection.pk,
        "service": connection.service,
        "server_id": connection.server_id,
        "host": connection.server.host,
        "path": connection.path,
        "client_ip": connection.address,
        "user_agent": connection.user_agent,
        "principal": connection.principal,
        "user": names.get(connection.principal, ""),
        "connected_at": timestamp(connection.opened_at),
    }
