"""Conversations in the admin, read-only: the list, and what was said, page by page.

Who may see the list may not read what was said: that is a permission of its own.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext_lazy, gettext_noop

from agents.archive.describing import PAGE_CHARACTERS
from agents.archive.finding import Wanted, select
from agents.archive.status import Status, in_status, with_status
from agents.archive.transcript import line_of
from agents.log.reading import page_after
from agents.models import Session
from agents.terminal.inert import readable
from services.admin.read_only import ReadOnly

if TYPE_CHECKING:
    SessionModelAdmin = admin.ModelAdmin[Session]
else:
    SessionModelAdmin = admin.ModelAdmin

READ_ALL = "agents.see_conversations"

ENTRIES_SHOWN = 100
LONGEST_SHOWN = 20_000
"""Characters of an entry that are shown."""

WORDS = {
    "user": gettext_noop("user"),
    "agent": gettext_noop("agent"),
    "tool": gettext_noop("tool"),
    "server": gettext_noop("server"),
    "idle": gettext_noop("idle"),
    "running": gettext_noop("running"),
    "waiting": gettext_noop("waiting"),
    "closed": gettext_noop("closed"),
}
"""By `Voice` and `Status`."""


class StatusFilter(admin.SimpleListFilter):
    title = gettext_lazy("status")
    parameter_name = "status"

    def lookups(
        self, request: HttpRequest, model_admin: SessionModelAdmin
    ) -> list[tuple[str, str]]:
        return [(each.value, translation.gettext(WORDS[each])) for each in Status]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Session]) -> QuerySet[Session]:
        wanted = self.value()
        return in_status(queryset, wanted) if wanted in set(Status) else queryset


class ServiceFilter(admin.SimpleListFilter):
    title = gettext_lazy("service")
    parameter_name = "service"

    def lookups(
        self, request: HttpRequest, model_admin: SessionModelAdmin
    ) -> list[tuple[str, str]]:
        names = Session.objects.order_by("service").values_list("service", flat=True).distinct()
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Session]) -> QuerySet[Session]:
        wanted = self.value()
        return queryset if wanted is None else queryset.filter(service=wanted)


@admin.register(Session)
class SessionAdmin(ReadOnly, SessionModelAdmin):
    list_display = ("called", "of_service", "status_word", "changed", "begun", "creator")
    list_filter = (StatusFilter, ServiceFilter)
    list_per_page = 100
    ordering = ("-updated_at", "-pk")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    fields = ("called", "of_service", "status_word", "creator", "begun", "changed")
    change_form_template = "admin/agents/session/change_form.html"

    class Media:
        css = {"all": ["css/admin.css"]}  # noqa: RUF012

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what the list's own filters ask: others would find out what no page shows."""
        return lookup in {StatusFilter.parameter_name, ServiceFilter.parameter_name}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        return with_status(super().get_queryset(request))

    def get_list_display(self, request: HttpRequest) -> Any:
        return self.list_display if may_read(request) else self.list_display[1:]

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        return list_display[:1]

    def get_fields(self, request: HttpRequest, obj: Session | None = None) -> Any:
        return self.fields if may_read(request) else self.fields[1:]

    def get_search_fields(self, request: HttpRequest) -> Any:
        return ("title",) if may_read(request) else ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Session], search_term: str
    ) -> tuple[QuerySet[Session], bool]:
        if not (search_term and may_read(request)):
            return queryset, False
        found = select(Wanted(text=search_term)).values("pk")
        return queryset.filter(pk__in=found), False

    @admin.display(description=gettext_lazy("title"), ordering="title")
    def called(self, session: Session) -> str:
        return session.title or session.pk

    @admin.display(description=gettext_lazy("service"), ordering="service")
    def of_service(self, session: Session) -> str:
        return session.service

    @admin.display(description=gettext_lazy("last change"), ordering="updated_at")
    def changed(self, session: Session) -> datetime:
        return session.updated_at

    @admin.display(description=gettext_lazy("begun"), ordering="created_at")
    def begun(self, session: Session) -> datetime:
        return session.created_at

    @admin.display(description=gettext_lazy("creator"), ordering="principal")
    def creator(self, session: Session) -> str:
        return session.principal

    @admin.display(description=gettext_lazy("status"))
    def status_word(self, session: Session) -> str:
        return translation.gettext(WORDS[session.status])  # type: ignore[attr-defined]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        given = {"may_read": may_read(request), "texts": TEXTS}
        if given["may_read"] and self.has_view_permission(request):
            given |= page_of(object_id, request.GET.get("after", ""))
        return super().change_view(request, object_id, form_url, given)


TEXTS = {
    "said": gettext_lazy("What was said"),
    "nothing": gettext_lazy("Nothing yet."),
    "next": gettext_lazy("Next page"),
    "first": gettext_lazy("From the start"),
    "may_not": gettext_lazy("You have no permission to read conversations."),
}


def may_read(request: HttpRequest) -> bool:
    return request.user.has_perm(READ_ALL)


def page_of(session_id: str, after: str) -> dict[str, Any]:
    """The lines of a page, as harmless text; `next`: where the next one begins, if there is one."""
    seq = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0
    page, is_last = page_after(session_id, seq, ENTRIES_SHOWN, PAGE_CHARACTERS)
    lines = [line for line in map(line_of, page) if line is not None]
    return {
        "lines": [
            {
                "at": line.at,
                "voice": line.voice,
                "who": f"{translation.gettext(WORDS[line.voice])} {readable(line.name)}",
                "text": _cut(readable(line.text)),
            }
            for line in lines
        ],
        "next": page[-1].seq if page and not is_last else None,
        "after": seq,
    }


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
