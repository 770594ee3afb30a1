"""Runs what a trace shows again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from asgiref.sync import sync_to_async
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.calls.call import WaitingCall
from services.rest.conversations.later import ConversationView, Later, Problem, call_of, serving
from services.rest.conversations.rates import rates
from services.rest.conversations.who import principal_of
from services.rest.traces import documents
from services.rest.traces.inputs import RerunInput
from services.rest.traces.reading import trace_of
from traces.reading.describing import Json, trace_json
from traces.rerunning import NotRerun, Rerun

STATUSES = {
    "invalid": 400,
    "forbidden": 403,
    "unknown_session": 404,
    "unknown_step": 409,
    "not_traced": 409,
}
"""By the codes of `NotRerun`."""

FROM_A_STEP = OpenApiExample("From a step on", {"step": 2}, request_only=True)
ANOTHER = OpenApiExample("Another question", {"question": "And in Rome?"}, request_only=True)


class RerunView(ConversationView):
    @extend_schema(
        summary="Run again from a step on",
        description="Begins a new conversation, with a copy of all that was said and done before "
        "the step, and asks the model for that step again. It belongs to the client, counts as a "
        "message, and leaves the old conversation as it is. For who may take part in that.",
        tags=["traces"],
        parameters=[documents.ID],
        request=RerunInput,
        examples=[FROM_A_STEP, ANOTHER],
        responses={201: documents.RERUN, **documents.errors(*documents.ASK)},
    )
    def post(self, request: Request, id: str) -> Response:
        body = RerunInput(data=request.data)
        body.is_valid(raise_exception=True)
        trace = trace_of(request, id)
        rerun = Rerun(trace, principal=principal_of(request), **body.validated_data)
        with _said():
            rerun.check()
        return Later(partial(_run_again, request, rerun))


async def _run_again(request: Request, rerun: Rerun, later: Later) -> None:
    call = await call_of(request, WaitingCall)
    service = rerun.trace.service
    rates.count(call.principal, rerun.trace.session_id)
    forks = serving(request).conversations.forks
    with _said():
        rerun.check(can_continue=forks.can_continue(service))
        await forks.check(call, service)
        new = await sync_to_async(_written)(rerun)
    await forks.take_over(new["session_id"])
    later.data = new
    later.status_code = 201
    later["Location"] = f"/api/v1/traces/{new['trace_id']}"


def _written(rerun: Rerun) -> Json:
    return trace_json(rerun.write())


@contextmanager
def _said() -> Iterator[None]:
    """Refusals as those of the interface."""
    try:
        yield
    except NotRerun as error:
        raise Problem(error.code, str(error), status=STATUSES[error.code]) from None
