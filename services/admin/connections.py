"""The open connections: who is connected where, with a button that closes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_lazy

from agents.models import Connection
from agents.sockets import register
from services import connecting
from services.admin.read_only import ReadOnly
from services.errors import ServiceError

if TYPE_CHECKING:
    ConnectionModelAdmin = admin.ModelAdmin[Connection]
else:
    ConnectionModelAdmin = admin.ModelAdmin


@admin.register(Connection)
class ConnectionAdmin(ReadOnly, ConnectionModelAdmin):
    list_display = (
        *("id", "opened_at", "service", "server"),
        *("address", "principal", "user_agent"),
    )
    list_filter = ("service", "server")
    list_select_related = ("server",)
    list_display_links = None
    search_fields = ("=id", "address", "user_agent", "principal")
    actions = ("disconnect",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        return register.alive().order_by(*(self.get_ordering(request) or ("-opened_at", "pk")))

    @admin.action(description=gettext_lazy("Close the selected connections"), permissions=["close"])
    def disconnect(self, request: HttpRequest, connections: QuerySet[Connection]) -> None:
        closed = 0
        for connection_id in list(connections.values_list("pk", flat=True)):
            try:
                connecting.close(connection_id)
                closed += 1
            except ServiceError as error:
                messages.warning(request, str(error))
        said = gettext("Connections that are being closed: {count}.")
        messages.info(request, said.format(count=closed))

    def has_close_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("agents.delete_connection"))
