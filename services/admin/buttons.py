"""Start, stop and restart in the admin: buttons on rows and on the page, and bulk actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_POST

from services import permissions
from services.access import CONTROL
from services.admin import asking, glance
from services.admin.texts import TEXTS
from services.catalogue import registry
from services.errors import ServiceError
from services.models import Service
from services.views.standing import verbs_of

if TYPE_CHECKING:
    ServiceModelAdmin = admin.ModelAdmin[Service]
else:
    ServiceModelAdmin = admin.ModelAdmin

LIST = "admin:services_service_changelist"

WAY_BACK = "way_back"
"""The field of a question with the page that had the button."""


class LifecycleAdmin(ServiceModelAdmin):
    """The part of the admin that only needs the permission `services.control_service`."""

    def has_control_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("services.control_service"))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found = super().get_actions(request)
        if not self.has_control_permission(request):
            return found
        own = {f"{name}_selected": (_for_many(name), f"{name}_selected", verb.label_for_many)
               for name, verb in asking.VERBS.items()}  # fmt: skip
        return own | found

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<str:object_id>/{name}/",
                self.admin_site.admin_view(self._view_of(name)),
                name=f"services_service_{name}",
            )
            for name in asking.VERBS
        ]
        return [*own, *super().get_urls()]

    @admin.display(description=gettext_lazy("Actions"))
    def buttons(self, service: Service) -> SafeString:
        """Each submits the form of the list, with its token, to an address of its own."""
        offered = verbs_of(service, glance.live_of(service))
        rows = [
            (
                reverse(f"admin:services_service_{name}", args=[service.pk]),
                service.pk,
                name,
                f"{verb.label}: {service.name}",
                SafeString("") if name in offered else SafeString(" hidden"),
                verb.label,
            )
            for name, verb in asking.VERBS.items()
        ]
        return format_html(
            '<span class="verbs">{}</span>',
            format_html_join(
                "",
                '<button type="submit" formaction="{}" data-service="{}" data-verb="{}" '
                'aria-label="{}"{}>{}</button>',
                rows,
            ),
        )

    def ask_before_stopping(
        self, request: HttpRequest, services: QuerySet[Service]
    ) -> TemplateResponse:
        """Asks before services are stopped, and says what that does."""
        context = self.admin_site.each_context(request) | {
            "title": gettext("Stop these services?")
            if len(services) > 1
            else gettext("Stop this service?"),
            "text": TEXTS,
            "queryset": services,
            "way_back": _way_back(request),
            "opts": self.opts,
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "media": self.media,
        }
        return TemplateResponse(
            request, "admin/services/service/stop_selected_confirmation.html", context
        )

    def _view_of(self, name: str) -> Callable[..., HttpResponse]:
        @require_POST
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            if not self.has_control_permission(request):
                raise PermissionDenied(permissions.needed(CONTROL))
            try:
                service = registry.find(object_id)
            except ServiceError as error:
                messages.error(request, str(error))
                return HttpResponseRedirect(_way_back(request))
            if name == "stop" and not request.POST.get("post"):
                chosen = Service.objects.filter(pk=service.pk)
                return self.ask_before_stopping(request, chosen)
            asking.ask(request, [service], name)
            return HttpResponseRedirect(_way_back(request))

        return view


def _for_many(name: str) -> Callable[..., HttpResponse | None]:
    def act(
        model_admin: LifecycleAdmin, request: HttpRequest, services: QuerySet[Service]
    ) -> HttpResponse | None:
        chosen = services.order_by("name")
        if name == "stop" and not request.POST.get("post"):
            return model_admin.ask_before_stopping(request, chosen)
        asking.ask(request, chosen, name)
        return None

    return act


def _way_back(request: HttpRequest) -> str:
    """The admin page of services that had the button, or else the list."""
    services = reverse(LIST)
    came_from = urlsplit(request.headers.get("Referer", ""))
    # A page that asked before can't be opened again: it knows where the button was.
    asked_from = request.POST.get(WAY_BACK, "")
    if asked_from.startswith(services):
        return asked_from
    if came_from.netloc == request.get_host() and came_from.path.startswith(services):
        return f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path
    return services
