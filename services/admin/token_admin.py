"""API tokens in the admin: who has which, and how to end one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_lazy

from services.tokens import issuing
from services.tokens.models import Token

if TYPE_CHECKING:
    TokenModelAdmin = admin.ModelAdmin[Token]
else:
    TokenModelAdmin = admin.ModelAdmin


@admin.register(Token)
class TokenAdmin(TokenModelAdmin):
    """Read-only: tokens are made over REST and by `manage.py tokens`, which show them once."""

    list_display = (
        "name",
        "user",
        "right_names",
        "service_names",
        "created",
        "expiry",
        "last_used",
    )
    list_display_links = None
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    actions = ("revoke",)

    @admin.display(description=gettext_lazy("rights"))
    def right_names(self, token: Token) -> str:
        return ", ".join(token.rights)

    @admin.display(description=gettext_lazy("services"))
    def service_names(self, token: Token) -> str:
        return ", ".join(token.services) or gettext("all")

    @admin.action(description=gettext_lazy("Revoke"), permissions=["delete"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[Token]) -> None:
        count = issuing.revoke(tokens)
        messages.success(request, gettext("Revoked: {count}.").format(count=count))

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        return False
