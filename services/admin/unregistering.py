"""Deleting in the admin: a service is unregistered, and deleted once its instances have ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin import actions
from django.contrib.admin.utils import model_ngettext
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy

from services.admin import asking
from services.admin.texts import TEXTS
from services.catalogue import registry
from services.models import Service

if TYPE_CHECKING:
    ServiceModelAdmin = admin.ModelAdmin[Service]
else:
    ServiceModelAdmin = admin.ModelAdmin


@admin.action(permissions=["delete"], description=gettext_lazy("Unregister the selected services"))
def delete_selected(
    model_admin: UnregisteringAdmin, request: HttpRequest, services: QuerySet[Service]
) -> HttpResponse | None:
    """Like Django's, but with our own texts: first the confirmation page, then the verbs."""
    if not request.POST.get("post"):
        page = actions.delete_selected(model_admin, request, services)
        if isinstance(page, TemplateResponse):
            page.context_data = (page.context_data or {}) | {
                "title": gettext("Unregister these services?"),
                "text": TEXTS,
            }
        return page
    chosen = list(services)
    model_admin.log_deletions(request, chosen)  # type: ignore[arg-type]
    for service in chosen:
        model_admin.unregister(request, service)
    asking.see_to_supervisor(request)
    return None


class UnregisteringAdmin(ServiceModelAdmin):
    actions = (delete_selected,)

    def get_deleted_objects(self, objs: Iterable[Service], request: HttpRequest) -> Any:
        """What the confirmation page lists: not the thousands of rows deleted with a service."""
        services = list(objs)
        return [str(one) for one in services], {model_ngettext(self.opts): len(services)}, set(), []

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        own = {"title": gettext("Unregister"), "text": TEXTS}
        return super().delete_view(request, object_id, own | (extra_context or {}))

    def delete_model(self, request: HttpRequest, obj: Service) -> None:
        self.unregister(request, obj)
        asking.see_to_supervisor(request)

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        """Shows no message: `unregister` has shown one, and 'was deleted' would not be true yet."""
        if self.has_view_permission(request):
            return HttpResponseRedirect(reverse("admin:services_service_changelist"))
        return HttpResponseRedirect(reverse("admin:index"))

    def unregister(self, request: HttpRequest, service: Service) -> None:
        registry.unregister(service)
        if service.is_external:
            sentence = gettext("'{name}' was taken off the list.")
        else:
            sentence = gettext(
                "'{name}' is being unregistered: it leaves the list once its instances have ended."
            )
        messages.info(request, sentence.format(name=service.name))
