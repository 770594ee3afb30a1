"""Shows events as lines of a terminal: finished ones are printed, running ones are redrawn."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any, Protocol

from django.utils import translation
from django.utils.translation import gettext, gettext_noop
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from agents.stop_reasons import STOPPED
from agents.terminal.command import told
from agents.terminal.inert import inert, one_line
from agents.terminal.markdown import drawn
from agents.terminal.tail import Tail
from agents.terminal.writing import Change, Writing
from myagent.client import (
    ConfirmationAsked,
    ConnectionChanged,
    ConnectionState,
    Event,
    FinalAnswer,
    Interrupted,
    MessageAccepted,
    Notice,
    PartialAnswer,
    ResponseLogged,
    RunEnded,
    ServerError,
    SessionCreated,
    SessionEnded,
    SessionResumed,
    ThinkingCompleted,
    ThinkingStarted,
    TimedOut,
    ToolCalled,
    ToolFinished,
)
from myagent.models import base

MARKS = {
    gettext_noop("success"): ("✓", "green"),
    gettext_noop("error"): ("✗", "red"),
    gettext_noop("declined"): ("⊘", "yellow"),
    gettext_noop("cancelled"): ("■", "yellow"),
    gettext_noop("unknown"): ("?", "yellow"),
}


DEMO = gettext_noop("The built-in demo model answers here. Set OPENAI_API_KEY to have a real one.")


class Screen(Protocol):
    """Where a chat is shown."""

    def show(self, event: Event, *, is_own: bool = False) -> None:
        """`is_own`: the message was typed here."""

    def say(self, sentence: str) -> None:
        """A sentence of the program itself."""

    def ask(self, question: ConfirmationAsked) -> None:
        """A tool waits for confirmation."""

    def following(self) -> contextlib.AbstractContextManager[None]:
        """While the agent works and nobody types."""


class RichScreen:
    """A terminal with colours."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._writing = Writing()
        self._live: Live | None = None
        self._rest = ""
        self._status = ""
        self._run_id = ""
        self._calls: dict[str, _RunningTool] = {}
        self._asked: dict[str, str] = {}
        """Calls that wait, or have waited, for an approval: not all of them are run."""
        self._is_lost = False
        self._model = ""

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        with Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=8,
            transient=True,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        ) as self._live:
            try:
                yield
            finally:
                self._live = None

    def say(self, sentence: str) -> None:
        self._console.print(Text(sentence, "dim"))

    def ask(self, question: ConfirmationAsked) -> None:
        self._console.print(Text(f"? {inert(question.content)}", "bold yellow"))
        for name, value in question.args.items():
            line = Text(f"    {inert(name)}: ", "dim")
            self._console.print(line.append(one_line(value, 1000), "default"))

    def show(self, event: Event, *, is_own: bool = False) -> None:
        match event:
            case ThinkingStarted() | PartialAnswer() | ThinkingCompleted():
                self._run_id = event.run_id
                self._show_writing(event)
            case ConfirmationAsked() | ToolCalled() | ToolFinished():
                self._run_id = event.run_id
                self._show_tool(event)
            case Interrupted() if self._run_id not in ("", event.run_id):
                # It leaves the queue; what the current run does goes on.
                self._say_end(event)
            case RunEnded():
                self._show_end(event)
            case ConnectionChanged():
                self._show_connection(event)
            case MessageAccepted() if not is_own and not event.duplicate:
                self._console.print(Text(f"\n› {inert(event.content)}", "bold cyan"))
            case ResponseLogged() if not event.duplicate:
                answer = gettext("Approved.") if event.is_approved else gettext("Declined.")
                self.say(f"  {answer}")
            case SessionCreated() | SessionResumed():
                self._show_session(event)
            case Notice() | ServerError() | SessionEnded():
                self.say(inert(event.content))

    def _show_session(self, event: SessionCreated | SessionResumed) -> None:
        if isinstance(event, SessionCreated):
            session = gettext("Session {id}").format(id=inert(event.session_id))
            self.say(f"{inert(event.content)} {session}")
        # Once, not with each new connection.
        if event.model == base.OFFLINE != self._model:
            self.say(translation.gettext(DEMO))
        self._model = event.model

    def _show_writing(self, event: ThinkingStarted | PartialAnswer | ThinkingCompleted) -> None:
        match event:
            case ThinkingStarted():
                self._status = inert(event.content)
            case PartialAnswer() if self._live is not None:
                step = (event.run_id, event.step)
                self._write(self._writing.grow(step, inert(event.text)))
            case ThinkingCompleted() if event.text:
                self._write(self._writing.finish(inert(event.text)))

    def _show_tool(self, event: ConfirmationAsked | ToolCalled | ToolFinished) -> None:
        match event:
            case ConfirmationAsked():
                self._asked[event.step_id] = _call(event.tool, event.args)
            case ToolCalled():
                self._calls[event.step_id] = _RunningTool(_call(event.tool, event.args))
            case ToolFinished():
                self._show_result(event)

    def _show_result(self, event: ToolFinished) -> None:
        # That it was declined was said when it was.
        is_told = event.status == "declined" and event.step_id in self._asked
        asked = self._asked.pop(event.step_id, _call(event.tool, {}))
        running = self._calls.pop(event.step_id, None)
        call = asked if running is None else running.call
        mark, style = MARKS.get(event.status, MARKS["unknown"])
        status = translation.gettext(event.status) if event.status in MARKS else event.status
        line = Text(f"{mark} ", style).append(call, "bold")
        line.append(f" · {inert(status)} · {_duration(event.duration_ms)}", "dim")
        self._console.print(line)
        if event.content and not is_told:
            self._console.print(Text(f"  {one_line(event.content, 300)}", "dim"))

    def _show_end(self, event: RunEnded) -> None:
        self._calls.clear()
        self._asked.clear()
        self._status = self._run_id = ""
        if isinstance(event, FinalAnswer):
            self._write(self._writing.finish(inert(event.content)))
            self._console.print(Text(f"— {_duration(event.duration_ms)}", "dim"))
            if event.stop_reason in STOPPED:
                sentence = translation.gettext(STOPPED[event.stop_reason])
                self._console.print(Text(f"■ {sentence}", "yellow"))
            return
        self._write(self._writing.stop(self._rest, inert(event.text)))
        self._say_end(event)

    def _say_end(self, event: RunEnded) -> None:
        style = "yellow" if isinstance(event, Interrupted) else "red"
        self._console.print(Text(f"■ {inert(event.content)}", style))
        if isinstance(event, (Interrupted, TimedOut)) and event.effects:
            tools = ", ".join(inert(tool) for tool in event.effects)
            sentence = gettext("What became of {tools} is not known.").format(tools=tools)
            self._console.print(Text(f"  {sentence}", style))

    def _show_connection(self, event: ConnectionChanged) -> None:
        if event.state is ConnectionState.RECONNECTING and not self._is_lost:
            self._is_lost = True
            self.say(f"⚠ {inert(told(event.reason))} {gettext('Reconnecting…')}")
        elif event.state is ConnectionState.CONNECTED and self._is_lost:
            self._is_lost = False
            self.say(f"✓ {gettext('Reconnected.')}")

    def _write(self, change: Change) -> None:
        if change.restarts:
            self.say(gettext("(The answer is written again.)"))
        if change.block.strip():
            self._console.print(drawn(change.block))
        self._rest = change.rest

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._rest:
            # Some lines are left for what is below.
            most = max(3, self._console.height - len(self._calls) - 3)
            parts.append(Tail(drawn(self._rest), most))
        parts += [tool.draw() for tool in list(self._calls.values())]
        status = gettext("Reconnecting…") if self._is_lost else self._status
        return Group(*parts, Text(f"{status}  {gettext('Ctrl-C stops')}".strip(), "dim"))


class _RunningTool:
    def __init__(self, call: str) -> None:
        self.call = call
        self._since = monotonic()
        self._spinner = Spinner("dots")

    def draw(self) -> RenderableType:
        self._spinner.update(text=Text(f"{self.call} · {monotonic() - self._since:.0f} s", "bold"))
        return self._spinner


class PlainScreen:
    """For programs: the answer on one stream, other information on the other."""

    def __init__(self, output: Console, errors: Console) -> None:
        self._output = output
        self._errors = errors

    def following(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def say(self, sentence: str) -> None:
        self._errors.print(Text(sentence), soft_wrap=True)

    def ask(self, question: ConfirmationAsked) -> None:
        self.say(f"{inert(question.content)} {_call(question.tool, question.args)}")

    def show(self, event: Event, *, is_own: bool = False) -> None:
        match event:
            case FinalAnswer():
                self._output.print(Text(inert(event.content)), soft_wrap=True)
                if event.stop_reason in STOPPED:
                    self.say(translation.gettext(STOPPED[event.stop_reason]))
            case RunEnded():
                # Not among the answers: it is none.
                self.say("\n".join(filter(None, (inert(event.text), inert(event.content)))))
            case ServerError() | Notice(code="service_stopped"):
                self.say(inert(event.content))
            case SessionCreated(model=base.OFFLINE):
                self.say(translation.gettext(DEMO))
            case ConnectionChanged(state=ConnectionState.RECONNECTING):
                self.say(f"{inert(told(event.reason))} {gettext('Reconnecting…')}")


def _call(tool: str, args: Mapping[str, Any]) -> str:
    given = ", ".join(f"{one_line(name, 40)}={one_line(value, 60)}" for name, value in args.items())
    return f"{one_line(tool, 80)}({given})"


def _duration(duration_ms: int) -> str:
    return f"{duration_ms} ms" if duration_ms < 1000 else f"{duration_ms / 1000:.1f} s"
