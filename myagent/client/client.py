"""The client: methods for one conversation with a service, across lost connections."""

from __future__ import annotations

import asyncio
import functools
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from myagent import fast_json, plain_json, protocol
from myagent.client.answer import Answer
from myagent.client.connection import Address, Connection, ended
from myagent.client.conversation import Conversation
from myagent.client.errors import ClientClosed, ClientError, InvalidRequest, refused
from myagent.client.outbox import (
    CancelRequest,
    CloseRequest,
    FeedbackRequest,
    MessageRequest,
    Outbox,
    Outcome,
    Request,
    ResponseRequest,
)
from myagent.client.streams import ConnectionState, Event, EventStream, Streams
from myagent.protocol import OnBusy
from myagent.protocol.server_events import (
    FeedbackLogged,
    MessageAccepted,
    Notice,
    ResponseLogged,
    ServerEvent,
    SessionEnded,
)
from myagent.sentence import Sentence

LEAVE_S = 5.0

Kind = TypeVar("Kind", bound=ServerEvent)


class Client:
    """One session of a service; made by `connecting.connect`, usable inside `async with`.

    Verbs may be used by several tasks at once, of one event loop. Cancelling a
    verb is safe: it is not sent again, though the service may have taken it.
    """

    def __init__(
        self, address: Address, session_id: str | None, last_seq: int, new: dict[str, Any]
    ) -> None:
        self._conversation = Conversation(session_id, last_seq, new)
        self._checked(self._conversation.opening())
        self._outbox = Outbox(address.give_up_after_s)
        self._streams = Streams()
        self._connection = Connection(
            address, self._conversation, self._outbox, self._streams, self._on_event
        )
        self._answers: weakref.WeakValueDictionary[str, Answer] = weakref.WeakValueDictionary()
        self._early: deque[Event] | None = deque(maxlen=16)
        self._task: asyncio.Task[None] | None = None
        self._error: ClientError | None = None

    # Its state.

    @property
    def session_id(self) -> str:
        """The conversation's id: with it and `last_seq` another client can go on."""
        return self._conversation.session_id or ""

    @property
    def last_seq(self) -> int:
        """The place in the log of the newest event that streams were given."""
        return self._conversation.last_seq

    @property
    def state(self) -> ConnectionState:
        return self._connection.state

    @property
    def current_run_id(self) -> str:
        """The current run, '' if none is known."""
        return self._conversation.runs.current

    # Its life cycle.

    async def __aenter__(self) -> Self:
        """Returns when the session is open. Raises `ClientError`."""
        self._task = asyncio.create_task(self._connection.run())
        self._task.add_done_callback(self._on_done)
        opened = asyncio.create_task(self._connection.opened.wait())
        try:
            await asyncio.wait((self._task, opened), return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await self._leave()
            raise
        finally:
            opened.cancel()
        if not self._connection.opened.is_set():
            await self._leave()
            raise self._error or ClientError(Sentence("The session could not be opened."))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the connection within seconds; the session and its runs go on."""
        await self._leave()

    async def _leave(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait((self._task,), timeout=LEAVE_S)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        error = (
            ClientClosed(Sentence("The client has been left."))
            if task.cancelled()
            else ended(failure)
        )
        if error is not None and error is not failure:
            error.__cause__ = failure
        self._connection.state = ConnectionState.CLOSED
        self._error = error or refused("session_closed", Sentence("This conversation has ended."))
        self._outbox.fail(self._error)
        for answer in list(self._answers.values()):
            answer.fail(self._error)
        self._streams.end(None if isinstance(error, ClientClosed) else error)

    # Receiving.

    def events(self) -> EventStream:
        """Every event from now on, of all runs; the first stream has those since `connect`, too.

        Nothing is read from the socket before the first stream or verb, and no
        more while a stream holds 256 unread events: read it, or drop it. It
        ends with the session or the client, and raises what the connection failed with.
        """
        stream = EventStream(self._streams)
        self._streams.add(stream)
        for event in self._early or ():
            stream._offer(event)
        self._early = None
        if self._error is not None:
            stream.close()
        return stream

    def _on_event(self, event: Event) -> None:
        if self._early is not None:
            self._early.append(event)
        self._streams.deliver(event)

    # Sending.

    def ask(
        self, text: str, *, on_busy: OnBusy = "enqueue", message_id: str | None = None
    ) -> Answer:
        """Sends a message; returns the events of its run, up to its one end.

        The same `message_id` never runs twice. `on_busy` is what happens if the agent is busy:
        'enqueue', 'reject' (raises `Refused`), or 'interrupt'. Raises `InvalidRequest`.
        """
        self._check_open()
        id_ = message_id or uuid.uuid4().hex
        frame = self._message(text, id_, on_busy)
        answer = Answer(self._streams, self._conversation, id_)
        self._answers[id_] = answer
        self._streams.add(answer)
        settle = functools.partial(self._on_asked, id_)
        self._connection.add(MessageRequest(frame=frame, settle=settle, message_id=id_))
        return answer

    def _on_asked(self, message_id: str, outcome: Outcome) -> None:
        answer = self._answers.get(message_id)
        if answer is not None and isinstance(outcome, ClientError):
            answer.fail(outcome)

    async def send(
        self, text: str, *, on_busy: OnBusy = "enqueue", message_id: str | None = None
    ) -> MessageAccepted:
        """Sends a message and waits until it is on the service's disk.

        Raises `Refused`, `InvalidRequest` and what the connection fails with.
        """
        id_ = message_id or uuid.uuid4().hex
        make = functools.partial(
            MessageRequest, frame=self._message(text, id_, on_busy), message_id=id_
        )
        return _as(MessageAccepted, await self._answer_to(make))

    async def respond(
        self,
        step_id: str,
        approved: bool,
        args: Mapping[str, Any] | None = None,
        feedback: str | None = None,
    ) -> ResponseLogged:
        """Answers a `ConfirmationAsked`; returns the response that counts, which may be another's.

        `args` replace the model's arguments; the model is told `feedback`. Raises `Refused` with
        the code `not_waiting` if the question is no longer open, and with `invalid_event` if the
        tool can't take these `args`: then the question stays open.
        """
        content: dict[str, Any] = {"approved": approved}
        content |= {} if args is None else {"args": dict(args)}
        content |= {} if feedback is None else {"feedback": feedback}
        frame = self._frame("user.response", step_id=step_id, content=content)
        make = functools.partial(ResponseRequest, frame=frame, step_id=step_id)
        return _as(ResponseLogged, await self._answer_to(make))

    async def cancel(
        self, *, run_id: str | None = None, message_id: str | None = None, all: bool = False
    ) -> bool:
        """Stops a run, the current one by default; `all`: also queued ones.

        True: it is being stopped. False: there was nothing to stop.
        """
        if run_id is None and message_id is None:
            # The run is named, so that a repeated cancel does not stop the next one.
            run_id = self.current_run_id or None
        named = {"run_id": run_id, "message_id": message_id}
        metadata = {name: value for name, value in named.items() if value}
        frame = self._frame("user.cancel", metadata=metadata | ({"all": True} if all else {}))
        make = functools.partial(
            CancelRequest, frame=frame, run_id=run_id or "", message_id=message_id or ""
        )
        return not isinstance(await self._answer_to(make), Notice)

    async def rate(
        self, message_id: str, score: float | None, comment: str | None = None
    ) -> FeedbackLogged:
        """Says what the answer to a message is worth, from -1, bad, to 1, good.

        Replaces what was said of it before; None takes that back. Raises `Refused`, with the code
        `busy` while there is no answer yet, and `InvalidRequest`.
        """
        comment = (comment or "").strip() or None
        said = {"content": comment} if comment and score is not None else {}
        metadata = {"message_id": message_id, "score": score}
        make = functools.partial(
            FeedbackRequest,
            frame=self._frame("user.feedback", metadata=metadata, **said),
            message_id=message_id,
            score=score,
            comment=said.get("content"),
        )
        return _as(FeedbackLogged, await self._answer_to(make))

    async def close_session(self) -> SessionEnded:
        """Ends the conversation for everybody; runs end as interrupted first."""
        frame = self._frame("user.close_session")
        return _as(
            SessionEnded, await self._answer_to(functools.partial(CloseRequest, frame=frame))
        )

    # Internals.

    async def _answer_to(self, make: Callable[..., Request]) -> ServerEvent:
        self._check_open()
        answer: asyncio.Future[ServerEvent] = asyncio.get_running_loop().create_future()

        def settle(outcome: Outcome) -> None:
            if answer.done():
                return
            if isinstance(outcome, ClientError):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

        request = make(settle=settle)
        self._connection.add(request)
        try:
            with self._streams.awaiting(answer):
                return await answer
        finally:
            self._outbox.discard(request)

    def _message(self, text: str, message_id: str, on_busy: OnBusy) -> str:
        metadata = {"message_id": message_id, "on_busy": on_busy}
        return self._frame("user.message", content=text, metadata=metadata)

    def _frame(self, event: str, **fields: Any) -> str:
        frame = {"event": event, "session_id": self.session_id, **fields}
        try:
            text = _written(frame)
        except (TypeError, ValueError) as error:
            raise InvalidRequest(
                Sentence("This can't be sent as JSON: {reason}.", reason=str(error))
            ) from error
        return self._checked(text)

    @staticmethod
    def _checked(frame: str) -> str:
        """The frame, if the service would take it; raises `InvalidRequest`."""
        try:
            protocol.parse(frame)
        except protocol.ProtocolError as error:
            raise InvalidRequest(
                Sentence("The service would not take this: {reason}.", reason=str(error))
            ) from error
        return frame

    def _check_open(self) -> None:
        if self._task is None:
            raise ClientClosed("Use the client inside `async with`.")
        if self._error is not None:
            raise self._error


def _as(kind: type[Kind], event: ServerEvent) -> Kind:
    assert isinstance(event, kind)
    return event


def _written(frame: dict[str, Any]) -> str:
    try:
        return fast_json.dumps(frame).decode()
    except TypeError:
        return plain_json.dumps(frame, takes_long_numbers=True).decode()
