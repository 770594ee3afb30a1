"""Requests that the supervisor carries out: their effect is awaited if asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ClassVar, TypeVar

import structlog
from asgiref.sync import sync_to_async
from django.db import Error as DatabaseFailure
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.runtime.explaining import explain
from services import control
from services.catalogue import history, registry
from services.models import Service
from services.rest import answers
from services.rest.base import View
from services.rest.inputs import WaitQuery, query_of
from services.rest.showing import shown
from services.rest.waiting import WaitingRoom
from services.supervision import supervisor_start

Method = TypeVar("Method", bound=Callable[..., Response])

logger = structlog.get_logger(__name__)

waiting_room = WaitingRoom()


@contextmanager
def supervised(service: Service | None = None, *, is_needed: bool) -> Iterator[None]:
    """Ensures that a supervisor will act on the request. Raises `ServiceError`."""
    if is_needed:
        supervisor_start.ensure_supervisor(service)
    yield
    if is_needed:
        # A supervisor that found nothing to do may have ended meanwhile.
        supervisor_start.ensure_supervisor(service)


class PatientView(View):
    """Answers 202; with `?wait=SECONDS`, the status `arrived` once the service gets there."""

    arrived: ClassVar[int] = 200

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        ask = super().as_view(**initkwargs)

        @wraps(ask)
        async def view(request: HttpRequest, **path: str) -> HttpResponseBase:
            response: Response = await sync_to_async(ask)(request, **path)
            if response.status_code == 202:
                # The parameter was checked before the request.
                await _wait(request, response, cls.arrived)
            return response

        return view


async def _wait(request: HttpRequest, response: Response, arrived: int) -> None:
    """Waits and describes the service in the response; the request is valid in any case."""
    timeout_s = float(request.GET.get("wait", 0))
    if not timeout_s:
        return
    try:
        service_id = response.data["service_id"]
        has_arrived = await waiting_room.wait_for(service_id, timeout_s)
        # That of the view: it knows who asks.
        asked: Request = response.renderer_context["request"]  # type: ignore[attr-defined]
        seen = await sync_to_async(_seen)(service_id, asked)
    except DatabaseFailure as error:
        logger.warning("storage_away", error=explain(error))
        return
    # It may have been unregistered meanwhile: that is success only for an unregistering request.
    is_there = arrived != 204
    if has_arrived and is_there == (seen is not None):
        response.status_code = arrived
    if seen is not None or not is_there:
        response.data = seen


def _seen(service_id: str, request: Request) -> dict[str, Any] | None:
    service = Service.objects.filter(pk=service_id).first()
    return None if service is None else shown(request, service)


def _documented(summary: str, description: str) -> Callable[[Method], Method]:
    also = "It is a wish, carried out by the supervisor: 202, unless it is waited for."
    return extend_schema(
        summary=summary,
        description=f"{description} {also}",
        tags=["lifecycle"],
        parameters=[answers.ID, WaitQuery],
        request=None,
        responses={
            200: answers.the_service("It was waited for, and it is there."),
            202: answers.the_service(
                "It is under way, or can't get there: see `status` and `error_message`.", "starting"
            ),
            **answers.refusals(*answers.CHANGE),
        },
    )


class StartView(PatientView):
    permission = "services.control_service"

    @_documented("Start", "Earlier failures are forgiven.")
    def post(self, request: Request, id: str) -> Response:
        return _control(request, id, control.start, gettext("Asked to start, over REST."))


class StopView(PatientView):
    permission = "services.control_service"

    @_documented("Stop", "Answers under way are finished first, within a grace.")
    def post(self, request: Request, id: str) -> Response:
        return _control(request, id, control.stop, gettext("Asked to stop, over REST."))


class RestartView(PatientView):
    permission = "services.control_service"

    @_documented("Restart", "New instances start, then the old ones finish and leave.")
    def post(self, request: Request, id: str) -> Response:
        return _control(request, id, control.restart, gettext("Asked to restart, over REST."))


def _control(request: Request, id: str, verb: Callable[[Service], None], sentence: str) -> Response:
    query_of(request, WaitQuery)
    service = registry.find(id)
    with supervised(service, is_needed=not service.is_external):
        verb(service)
    history.note(request.user, service, sentence)
    return Response(shown(request, service), 202)
