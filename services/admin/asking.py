"""Calls verbs for a user of the admin, shows the resulting messages, and writes the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext_lazy, gettext_noop

from services import control
from services.catalogue import history
from services.errors import ServiceError
from services.models import Service
from services.supervision.supervisor_start import ensure_supervisor, is_needed


@dataclass(frozen=True, slots=True)
class Verb:
    """`doing` is shown while it happens, `done` once there is nothing left to do."""

    act: Callable[[Service], None]
    label: object
    label_for_many: object
    doing: str
    done: str
    noted: str


VERBS = {
    "start": Verb(
        control.start,
        gettext_lazy("Start"),
        gettext_lazy("Start the selected services"),
        doing=gettext_noop("'{name}' is starting."),
        done=gettext_noop("'{name}' is running."),
        noted=gettext_noop("Started."),
    ),
    "stop": Verb(
        control.stop,
        gettext_lazy("Stop"),
        gettext_lazy("Stop the selected services"),
        doing=gettext_noop("'{name}' is stopping."),
        done=gettext_noop("'{name}' is stopped."),
        noted=gettext_noop("Stopped."),
    ),
    "restart": Verb(
        control.restart,
        gettext_lazy("Restart"),
        gettext_lazy("Restart the selected services"),
        doing=gettext_noop("'{name}' is restarting."),
        done=gettext_noop("'{name}' is running."),
        noted=gettext_noop("Restarted."),
    ),
}


def ask(request: HttpRequest, services: Iterable[Service], name: str) -> None:
    """Calls a verb on each service, and tells the user what is happening; does not wait for it."""
    for service in services:
        _ask(request, service, name)
    see_to_supervisor(request)


def _ask(request: HttpRequest, service: Service, name: str) -> None:
    verb = VERBS[name]
    try:
        verb.act(service)
    except ServiceError as error:
        messages.error(request, str(error))
        return
    history.note(request.user, service, verb.noted)
    template = verb.done if control.has_arrived(service) else verb.doing
    messages.info(request, translation.gettext(template).format(name=service.name))


def see_to_supervisor(request: HttpRequest) -> None:
    """Warns if there is something to do but no supervisor to do it."""

    def see() -> None:
        try:
            if is_needed():
                ensure_supervisor()
        except ServiceError as error:
            messages.warning(request, str(error))

    # A supervisor that starts needs the database, which a transaction here may block.
    transaction.on_commit(see)
