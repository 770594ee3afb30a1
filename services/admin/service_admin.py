"""Services in the admin: the list, and the page of one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms.widgets import Script
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import translation
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from services import permissions
from services.access import VIEW
from services.admin import asking, glance, observed
from services.admin.buttons import LifecycleAdmin
from services.admin.filters import StatusFilter, TagFilter, matching
from services.admin.service_form import ServiceForm
from services.admin.unregistering import UnregisteringAdmin
from services.catalogue import secrets
from services.errors import ServiceError
from services.models import Service
from services.routing.endpoints import without_secrets
from services.views.standing import verbs_of

MAX_LIVE = 200
"""Maximum number of services whose state is sent at once."""


def _cell(
    glances: Callable[[], glance.Glance], name: str, description: Any, ordering: str | None = None
) -> Any:
    """A column that updates itself."""

    @admin.display(description=description, ordering=ordering)
    def column(service: Service) -> SafeString:
        cell = glance.cells_of(service, glances())[name]
        return format_html(
            '<span class="cell cell-{}" data-kind="{}" data-service="{}" data-cell="{}">{}</span>',
            *(name, cell.kind, service.pk, name, cell.text),
        )

    column.__name__ = f"{name}_cell"
    return column


@admin.register(Service)
class ServiceAdmin(UnregisteringAdmin, LifecycleAdmin):
    form = ServiceForm
    search_fields = ("name", "description", "tags")
    search_help_text = gettext_lazy("By name, description or tag.")
    list_filter = (StatusFilter, "desired", TagFilter)
    list_per_page = 100
    show_facets = admin.ShowFacets.NEVER

    class Media:
        css = {"all": ["css/admin.css"]}  # noqa: RUF012
        js = (Script("js/admin/live.js", type="module"),)

    def get_list_display(self, request: HttpRequest) -> Any:
        # Once for all rows and columns, when the first is drawn.
        glances = cache(glance.Glance.read)
        buttons = ("buttons",) if self.has_control_permission(request) else ()
        return (
            "name",
            _cell(glances, "status", gettext_lazy("Status"), "status"),
            *buttons,
            _cell(glances, "health", gettext_lazy("Health")),
            _cell(glances, "sessions", gettext_lazy("Sessions")),
            _cell(glances, "uptime", gettext_lazy("Uptime"), "started_at"),
            _cell(glances, "restarts", gettext_lazy("Restarts"), "restart_count"),
            _cell(glances, "desired", gettext_lazy("Desired"), "desired"),
            "tag_list",
            "source",
        )

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what the list's own filters ask: others would find out what no page shows."""
        return lookup in {StatusFilter.parameter_name, "desired__exact", TagFilter.parameter_name}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Service]:
        return glance.with_live_instances(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Service], search_term: str
    ) -> tuple[QuerySet[Service], bool]:
        return matching(queryset, search_term), False

    @admin.display(description=gettext_lazy("Tags"))
    def tag_list(self, service: Service) -> SafeString:
        tags = format_html_join(
            " ", '<span class="tag">{}</span>', ((tag,) for tag in service.tags)
        )
        return tags or SafeString(glance.NOTHING)

    @admin.display(description=gettext_lazy("File"), ordering="agent_factory_path")
    def source(self, service: Service) -> SafeString:
        url = without_secrets(service.url)
        whole = url or service.agent_factory_path
        shown = url or whole.rpartition("/")[2]
        return format_html('<span class="source" title="{}">{}</span>', whole, shown)

    @admin.display(description=gettext_lazy("address of an external service"))
    def public_url(self, service: Service) -> str:
        return without_secrets(service.url)

    @admin.display(description=gettext_lazy("Variables that are set"))
    def variable_names(self, service: Service) -> str:
        try:
            return ", ".join(sorted(secrets.decrypt(service.environment))) or glance.NOTHING
        except ServiceError as error:
            return str(error)

    def get_fieldsets(self, request: HttpRequest, obj: Service | None = None) -> Any:
        is_external = obj is not None and obj.is_external
        may_edit = obj is None or self.has_change_permission(request, obj)
        source = ["agent_factory_path", "url"]
        if obj is not None:
            address = "url" if may_edit else "public_url"
            source = [address] if is_external else ["agent_factory_path"]
        tags = "tags" if may_edit else "tag_list"
        what = ["name", "description", tags, *source]
        if is_external:
            return [(None, {"fields": [*what, "weight"]})]
        variables = [] if obj is None else ["variable_names"]
        if may_edit:
            variables += ["variables"] if obj is None else ["variables", "forget_variables"]
        return [
            (None, {"fields": [*what, "auto_start"] if obj is None else what}),
            (gettext_lazy("Processes"), {"fields": PROCESSES}),
            (gettext_lazy("Environment"), {"fields": variables}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Service | None = None) -> Any:
        return () if obj is None else ("variable_names", "tag_list", "public_url")

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        """Does nothing: the form called the verb when it was validated."""
        return form.service

    def save_model(self, request: HttpRequest, obj: Service, form: Any, change: bool) -> None:
        asking.see_to_supervisor(request)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Does nothing: no related rows are saved with a service."""

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("live/", self.admin_site.admin_view(self.live), name="services_service_live"),
            path(
                "<str:object_id>/observed/",
                self.admin_site.admin_view(self.observed),
                name="services_service_observed",
            ),
        ]
        return [*own, *super().get_urls()]

    def live(self, request: HttpRequest) -> HttpResponse:
        """The list's cells of the services `id`, as JSON, without deleted ones."""
        if not self.has_view_permission(request):
            raise PermissionDenied(permissions.needed(VIEW))
        services = self.get_queryset(request).filter(pk__in=request.GET.getlist("id")[:MAX_LIVE])
        seen = glance.Glance.read()
        found = {
            service.pk: {
                "cells": {
                    name: {"text": cell.text, "kind": cell.kind}
                    for name, cell in glance.cells_of(service, seen).items()
                },
                "verbs": verbs_of(service, glance.live_of(service)),
            }
            for service in services
        }
        return JsonResponse({"services": found})

    def observed(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The part of a service's page that updates itself."""
        if not self.has_view_permission(request):
            raise PermissionDenied(permissions.needed(VIEW))
        service = self.get_queryset(request).filter(pk=object_id).first()
        if service is None:
            raise Http404
        context = observed.context_of(service, request.GET.get("log"))
        return TemplateResponse(request, "admin/services/service/observed.html", context)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> Any:
        obj = kwargs.get("obj")
        if obj is not None:
            context |= observed.context_of(obj, request.GET.get("log"))
            context["verb_buttons"] = self.buttons(obj)
            context["may_control"] = self.has_control_permission(request)
        return super().render_change_form(request, context, *args, **kwargs)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        response = super().history_view(request, object_id, extra_context)
        if isinstance(response, TemplateResponse):
            for entry in (response.context_data or {})["action_list"]:
                if not entry.change_message.startswith("["):  # Django translates its own.
                    entry.change_message = translation.gettext(entry.change_message)
        return response


PROCESSES = [
    "replicas",
    "weight",
    "host",
    "port",
    "auto_restart",
    "max_restart_count",
    "restart_delay_s",
    "max_sessions",
    "session_timeout_s",
    "memory_limit_mb",
    "python",
]
"""How the instances are run."""
