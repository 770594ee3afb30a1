"""A conversation in a terminal: events are shown, typed messages are sent.

Longer than other modules, because keys, events and waits change one state.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import uuid
from collections.abc import Callable, Coroutine, Iterator
from enum import IntEnum
from typing import Any, TypeVar

from django.utils import translation
from django.utils.translation import gettext, gettext_noop
from prompt_toolkit.application import in_terminal

from agents.terminal.command import told
from agents.terminal.patience import Patience
from agents.terminal.prompts import InterruptKey, Prompts
from agents.terminal.repeats import Repeats
from agents.terminal.screen import Screen
from myagent.client import (
    Client,
    ClientError,
    ConfirmationAsked,
    ConnectionChanged,
    Event,
    EventStream,
    FinalAnswer,
    MessageAccepted,
    Refused,
    ReplayComplete,
    ResponseLogged,
    RunEnded,
    ServerError,
    SessionResumed,
    ToolFinished,
)
from myagent.steps import Decision

T = TypeVar("T")


class Status(IntEnum):
    """Exit statuses of the command."""

    DONE = 0
    NO_ANSWER = 1
    WRONG_USAGE = 2
    NO_CONNECTION = 3
    INTERRUPTED = 130


NOBODY = Decision(approved=False, feedback=gettext_noop("Nobody is there to confirm this."))
"""The agent is told so in English, whatever the terminal speaks."""


class Chat:
    """`run` chats until the user leaves. With `message`, only that one is asked.

    `client` has not been entered yet, so that the messages of an unavailable service are shown as
    well. `prompts` is None if nobody can type: tools that ask are declined then.
    """

    def __init__(
        self, client: Client, screen: Screen, prompts: Prompts | None, message: str | None = None
    ) -> None:
        self._client = client
        self._screen = screen
        self._prompts = prompts
        self._message = message
        self._questions: dict[str, ConfirmationAsked] = {}
        self._own: set[str] = set()
        self._sent = ""
        self._own_run = ""
        self._withdrawn: set[str] = set()
        self._repeats = Repeats()
        self._patience = Patience()
        self._is_open = False
        self._is_replaying = False
        self._is_stopping = False
        self._is_refused = False
        self._was_warned = False
        self._status = Status.DONE
        self._changed = asyncio.Event()
        self._leaving = asyncio.Event()
        self._stopping: set[asyncio.Task[None]] = set()

    async def run(self) -> Status:
        """Raises `ClientError` when the connection fails for good."""
        works = [self._listen(self._client.events()), self._converse(), self._left()]
        if self._message is not None:
            works.append(self._patience.end())
        try:
            with self._on_interrupt():
                await _first(*works)
        finally:
            for task in self._stopping:
                task.cancel()
            await asyncio.gather(*self._stopping, return_exceptions=True)
        return self._status

    # Events.

    async def _listen(self, events: EventStream) -> None:
        async for event in events:
            self._follow(event)
            if self._is_shown(event) and not self._repeats.is_repeat(event):
                # Above the line that is being typed, if one is.
                async with in_terminal():
                    self._screen.show(event, is_own=self._is_own(event))
            self._changed.set()

    def _follow(self, event: Event) -> None:
        self._patience.follow(event, self._sent)
        match event:
            case SessionResumed():
                self._is_replaying = True
            case ReplayComplete():
                self._is_replaying = False
            case MessageAccepted() if event.message_id == self._sent:
                self._own_run = event.run_id
                self._is_refused = False
            case MessageAccepted() if event.message_id in self._withdrawn:
                self._begin_to_stop(event.message_id)
            case ServerError() if self._sent and event.message_id in ("", self._sent):
                self._is_refused = not self._own_run
            case ConfirmationAsked():
                self._questions[event.step_id] = event
            case ResponseLogged() | ToolFinished():
                self._questions.pop(event.step_id, None)
            case RunEnded():
                self._end(event)

    def _end(self, event: RunEnded) -> None:
        # A message that leaves the queue ends as well, while the current run still asks.
        self._questions = {
            step_id: question
            for step_id, question in self._questions.items()
            if question.run_id not in ("", event.run_id)
        }
        if event.message_id == self._sent:
            self._sent = ""
            if self._message is not None and not isinstance(event, FinalAnswer):
                self._status = Status.NO_ANSWER

    def _is_shown(self, event: Event) -> bool:
        """With a single message, other messages of the conversation are not shown."""
        run_id = "" if isinstance(event, ConnectionChanged) else event.run_id
        return self._message is None or run_id in ("", self._own_run)

    def _is_own(self, event: Event) -> bool:
        return isinstance(event, MessageAccepted) and event.message_id in self._own

    # Input.

    async def _converse(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            with self._watching_keys():
                await stack.enter_async_context(self._client)
            self._is_open = True
            await self._talk()

    async def _talk(self) -> None:
        if self._message is not None:
            await self._ask(self._message)
        while not self._leaving.is_set():
            question = self._next_question()
            if self._is_replaying:
                await self._change()
            elif question is not None and not self._is_stopping:
                await self._decide(question)
            elif self._is_busy:
                await self._watch()
            elif self._message is not None or self._prompts is None:
                return
            else:
                await self._say(self._prompts)

    def _next_question(self) -> ConfirmationAsked | None:
        """The question to answer here; with a single message, only one of its own run."""
        is_once = self._message is not None
        questions = self._questions.values()
        return next((q for q in questions if not is_once or q.run_id == self._own_run), None)

    @property
    def _is_busy(self) -> bool:
        return bool(self._sent or self._client.current_run_id)

    async def _watch(self) -> None:
        """Shows events until the agent asks or is done."""
        with self._screen.following(), self._watching_keys():
            while self._is_busy and (self._next_question() is None or self._is_stopping):
                await self._change()
        self._is_stopping = self._is_stopping and self._is_busy

    async def _say(self, prompts: Prompts) -> None:
        try:
            text = await self._unless(lambda: self._next_question() is not None, prompts.message())
        except EOFError:
            self._leaving.set()
            return
        except InterruptKey:
            self._warn_or_leave()
            return
        if text is not None and text.strip():
            self._was_warned = False
            await self._ask(text)

    async def _ask(self, text: str) -> None:
        self._sent, self._own_run = uuid.uuid4().hex, ""
        self._is_stopping = self._is_refused = False
        self._own.add(self._sent)
        self._repeats.forget()
        try:
            with self._watching_keys():
                sending = self._client.send(text, message_id=self._sent)
                accepted = await self._unless(lambda: self._is_withdrawn, sending)
            if accepted is None:
                self._withdraw()
        except (Refused, ValueError) as error:
            self._sent = ""
            self._screen.say(told(error))
            if self._message is not None:
                self._status = Status.NO_ANSWER

    @property
    def _is_withdrawn(self) -> bool:
        """Whether Ctrl-C was pressed for a message that the service does not accept at present."""
        return self._is_stopping and self._is_refused

    def _withdraw(self) -> None:
        """The message is not sent again. If it is accepted after all, it is stopped then."""
        self._withdrawn.add(self._sent)
        self._sent = ""
        self._is_stopping = self._is_refused = False
        self._screen.say(gettext("The message was withdrawn."))
        if self._message is not None:
            self._status = Status.NO_ANSWER

    async def _decide(self, question: ConfirmationAsked) -> None:
        self._screen.ask(question)
        decision: Decision | None = NOBODY
        try:
            if self._prompts is not None:
                decision = await self._unless(
                    lambda: question.step_id not in self._questions,
                    self._prompts.decision(question.args),
                )
        except EOFError:
            self._leaving.set()
            return
        except InterruptKey:
            self._interrupt()
            return
        if decision is not None:
            await self._respond(question, decision)

    async def _respond(self, question: ConfirmationAsked, decision: Decision) -> None:
        if decision is NOBODY:
            reason = translation.gettext(NOBODY.feedback)
            self._screen.say(gettext("Declined: {reason}").format(reason=reason))
        try:
            await self._client.respond(
                question.step_id, decision.approved, decision.args, decision.feedback or None
            )
        except (Refused, ValueError) as error:
            self._screen.say(told(error))
            if isinstance(error, Refused) and error.code == "invalid_event":
                return  # The arguments did not fit: the question is asked again.
        self._questions.pop(question.step_id, None)

    # Stopping and leaving.

    @contextlib.contextmanager
    def _on_interrupt(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    def _interrupt(self) -> None:
        """Ctrl-C: the first one stops the answer, the next one leaves."""
        if not self._is_open:
            self._leaving.set()
        elif not self._is_busy:
            self._warn_or_leave()
        elif self._is_stopping:
            self._leaving.set()
        else:
            self._is_stopping = True
            if not self._is_refused:
                self._screen.say(gettext("Stopping… Press Ctrl-C again to leave."))
                self._begin_to_stop(self._sent)
        self._changed.set()

    def _begin_to_stop(self, message_id: str) -> None:
        task = asyncio.get_running_loop().create_task(self._stop(message_id))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _stop(self, message_id: str) -> None:
        try:
            await self._client.cancel(message_id=message_id or None)
        except ClientError as error:
            self._screen.say(told(error))

    def _watching_keys(self) -> contextlib.AbstractContextManager[None]:
        """While nothing is asked: Ctrl-D leaves."""
        if self._prompts is None:
            return contextlib.nullcontext()
        return self._prompts.watching(self._leaving.set)

    def _warn_or_leave(self) -> None:
        if self._was_warned:
            self._leaving.set()
        else:
            self._was_warned = True
            self._screen.say(gettext("Press Ctrl-C again, or Ctrl-D, to leave."))

    async def _left(self) -> None:
        await self._leaving.wait()
        if self._message is not None:
            self._status = Status.INTERRUPTED

    # Waiting.

    async def _change(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    async def _unless(
        self, is_settled: Callable[[], bool], typing: Coroutine[Any, Any, T]
    ) -> T | None:
        """What was typed; None as soon as it is no longer needed."""

        async def settled() -> None:
            while not is_settled():
                await self._change()

        typed: T | None = await _first(typing, settled())
        return typed


async def _first(*works: Coroutine[Any, Any, Any]) -> Any:
    """The result of the first to end, or its failure; the others are cancelled and awaited."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        done = next(task for task in tasks if task.done())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return done.result()
