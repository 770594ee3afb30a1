"""Runs in the log and their traces, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agents.log import kinds
from agents.log.commit import Batch
from agents.log.entry import Entry, RunRef
from agents.log.writes import Facts, NewRun, RunFacts, Write
from agents.runtime.ids import new_id
from myagent.inner_spans import InnerSpan
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage
from myagent.steps import Answer, ConfirmationAsked, Thought, ToolFinished, ToolStarted, ToolStatus
from myagent.worker.protocol import AgentInfo, ToolInfo
from tests.agents.logs import created, new_server
from traces.recording.recorder import TraceRecorder

TOOLS = [
    ToolInfo(name, "", idempotent=False, requires_confirmation=False, timeout_s=60)
    for name in ("search", "look_up")
]
AGENT = AgentInfo("helper", tools=TOOLS, model="gpt-large", max_steps=5)
FIRST, LAST = Usage(100, 20), Usage(10, 2)


class Story:
    """One session whose runs are written down as a server writes them."""

    def __init__(
        self,
        recorder: TraceRecorder | None = None,
        *,
        service: str = "tested",
        principal: str = "",
        agent: AgentInfo | None = AGENT,
    ) -> None:
        self.recorder = recorder or TraceRecorder()
        self.service = service
        self.principal = principal
        self.agent = agent
        self._runs = 0
        write = created(new_server())
        assert write.new_session is not None
        new = replace(write.new_session, service=service, principal=principal)
        self.session_id = write.session_id
        self._commit(replace(write, new_session=new))

    def ask(self, text: str, traceparent: str = "") -> RunRef:
        """A message whose run begins at once."""
        self._runs += 1
        run_id = new_id()
        ref = RunRef(run_id, run_id, traceparent)
        self._write(
            [kinds.user_message(text, ref, 0)],
            RunFacts(ref.run_id, 1, 0, False, 0),
            new_run=NewRun(ref.run_id, ref.message_id, self._runs),
        )
        return ref

    def think(self, ref: RunRef, *tools: str, usage: Usage = FIRST, step: int = 1) -> None:
        """A reply that calls tools."""
        calls = tuple(ToolCall(f"call_{tool}", tool, '{"a": 1}') for tool in tools)
        thought = Thought(step, "because", ChatMessage("assistant", "", calls), usage, 40, 9)
        self._write([kinds.thinking(thought, ref)], RunFacts(ref.run_id, 1, step, True, 50))

    def wait(self, ref: RunRef, tool: str, *, step: int = 1) -> None:
        """A tool waits for somebody's yes."""
        asked = ConfirmationAsked(f"call_{tool}", tool, {"a": 1}, 60.0)
        run = RunFacts(ref.run_id, 1, step, True, 60)
        self._write([kinds.user_confirm(asked, ref, "en", 60.0)], run)

    def agree(self, ref: RunRef, tool: str, *, step: int = 1) -> None:
        content = {"approved": True}
        run = RunFacts(ref.run_id, 1, step, True, 60)
        self._write([kinds.user_response(content, f"call_{tool}", ref)], run)

    def start(self, ref: RunRef, tool: str, *, step: int = 1) -> None:
        """A tool begins its work."""
        started = ToolStarted(f"call_{tool}", tool, {"a": 1})
        run = RunFacts(ref.run_id, 1, step, True, 60)
        self._write([kinds.tool_call(started, ref, "en")], run)

    def work(
        self,
        ref: RunRef,
        tool: str,
        status: ToolStatus,
        text: str,
        *,
        step: int = 1,
        spans: Sequence[InnerSpan] = (),
        spans_left_out: int = 0,
    ) -> None:
        """A tool works, and it is the last of its step."""
        self.start(ref, tool, step=step)
        run = RunFacts(ref.run_id, 1, step, True, 60)
        message = ChatMessage("tool", text, tool_call_id=f"call_{tool}")
        finished = ToolFinished(
            f"call_{tool}", tool, status, text, 7, message, None, tuple(spans), spans_left_out
        )
        self._write([kinds.tool_result(finished, ref)], replace(run, has_open_calls=False))

    def answer(self, ref: RunRef, text: str, *, usage: Usage = LAST, step: int = 2) -> None:
        thought = Thought(step, "", ChatMessage("assistant", text), usage, 30, 4)
        entries = [
            kinds.thinking(thought, ref),
            kinds.final_answer(Answer(text, step, usage), ref, 200),
        ]
        self._end(ref, entries, "answered", step)

    def fail(self, ref: RunRef, sentence: str) -> None:
        entry = kinds.error(ref, "model_error", sentence, is_retryable=True)
        self._end(ref, [entry], "failed", 0)

    def interrupt(self, ref: RunRef) -> None:
        self._end(ref, [kinds.interrupted(ref, "en", [])], "interrupted", 0)

    def _end(self, ref: RunRef, entries: Sequence[Entry], status: str, step: int) -> None:
        ended = [RunFacts(ref.run_id, 1, step, False, 200)]
        self._write(entries, None, ends={ref.run_id: status}, ended=ended)

    def _write(self, entries: Sequence[Entry], run: RunFacts | None, **changes: object) -> None:
        facts = Facts(self.service, self.principal, self.agent, run)
        self._commit(Write(self.session_id, 1, entries, facts=facts, **changes))  # type: ignore[arg-type]

    def _commit(self, write: Write) -> None:
        batch = Batch([write], [self.recorder])
        (result,) = batch.commit()
        assert isinstance(result, list), result
        assert not batch.recorder_failures

    def rate(self, ref: RunRef, score: float | None, comment: str = "", by: str = "") -> None:
        """Somebody says what the answer is worth."""
        self._write([kinds.user_feedback(comment or None, ref, score, by)], None)
