"""Entries of the log: what each durable event holds, and how it looks on the wire."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from agents.log.entry import Entry, RunRef
from agents.sentences import say
from myagent import protocol
from myagent.messages import ChatMessage
from myagent.steps import Answer, ConfirmationAsked, Step, Thought, ToolFinished, ToolStarted
from myagent.worker.protocol import AgentInfo


def session_created(lang: str, agent: AgentInfo, service: str, connection_id: str) -> Entry:
    metadata = {"agent_name": agent.name, "service": service, "connection_id": connection_id}
    if agent.model:
        metadata["model"] = agent.model
    return Entry("agent.session_created", say(lang, "session_created", agent=agent.name), metadata)


def user_message(text: str, run: RunRef, position: int) -> Entry:
    metadata = run.metadata | {"position": position}
    if run.traceparent:
        metadata["traceparent"] = run.traceparent
    return Entry(
        "user.message",
        text,
        metadata,
        message=ChatMessage("user", text),
        run_id=run.run_id,
    )


def thinking(step: Thought, run: RunRef) -> Entry:
    metadata = {
        "step": step.step,
        "status": "completed",
        "duration_ms": step.duration_ms,
        "usage": step.usage.to_dict(),
    }
    # The last thought's text is the answer: that entry carries it, and the message.
    is_last = not step.message.tool_calls
    if step.message.content and not is_last:
        metadata["text"] = step.message.content
    message = None if is_last else step.message
    return Entry(
        "agent.thinking",
        step.reasoning,
        metadata,
        message=message,
        run_id=run.run_id,
        aside={"first_token_ms": step.first_token_ms},
    )


def user_confirm(step: ConfirmationAsked, run: RunRef, lang: str, timeout_s: float) -> Entry:
    metadata = {
        "tool": step.tool,
        "args": step.args,
        "timeout_s": timeout_s,
        "description": step.description,
    }
    if step.parameters is not None:
        metadata["parameters"] = step.parameters
    return Entry(
        "agent.user_confirm",
        say(lang, "user_confirm" if step.args else "user_confirm_plain", tool=step.tool),
        metadata,
        step_id=step.step_id,
        run_id=run.run_id,
    )


def user_response(content: dict[str, Any], step_id: str, run: RunRef) -> Entry:
    return Entry("user.response", content, {}, step_id=step_id, run_id=run.run_id)


def tool_call(step: ToolStarted, run: RunRef, lang: str) -> Entry:
    return Entry(
        "agent.tool_call",
        say(lang, "tool_call", tool=step.tool),
        {"tool": step.tool, "args": step.args, "status": "running"},
        step_id=step.step_id,
        run_id=run.run_id,
    )


def tool_result(step: ToolFinished, run: RunRef) -> Entry:
    metadata = {"tool": step.tool, "status": step.status, "duration_ms": step.duration_ms}
    if step.full_length is not None:
        metadata["truncated"] = step.full_length
    return Entry(
        "agent.tool_result",
        step.text,
        metadata,
        step.step_id,
        step.message,
        run_id=run.run_id,
        aside={"spans": step.spans, "spans_left_out": step.spans_left_out},
    )


def user_cancel(run_id: str | None) -> Entry:
    return Entry("user.cancel", None, {"run_id": run_id} if run_id else {}, run_id=run_id)


def user_feedback(comment: str | None, run: RunRef, score: float | None, principal: str) -> Entry:
    metadata = run.metadata | {"score": score}
    if principal:
        metadata["principal"] = principal
    return Entry("user.feedback", comment, metadata, run_id=run.run_id, is_afterwards=True)


def final_answer(step: Answer, run: RunRef, duration_ms: int) -> Entry:
    metadata = run.metadata | {
        "steps": step.steps,
        "usage": step.usage.to_dict(),
        "duration_ms": duration_ms,
        "stop_reason": step.stop_reason,
    }
    if step.full_length is not None:
        metadata["truncated"] = step.full_length
    return Entry("agent.final_answer", step.text, metadata, "", step.message, run_id=run.run_id)


def error(
    run: RunRef,
    code: protocol.ErrorCode,
    sentence: str,
    *,
    is_retryable: bool,
    cause: str = "",
) -> Entry:
    """`cause` is the reason in the words of the component that failed; it is for developers."""
    metadata = run.metadata | {"code": code, "retryable": is_retryable}
    if cause:
        metadata["cause"] = cause
    note = ChatMessage("assistant", "(No answer: an error ended it.)")
    return Entry("agent.error", sentence, metadata, "", note, run.run_id)


def interrupted(run: RunRef, lang: str, effects: list[str], text: str = "") -> Entry:
    """`text` is what the model had written by then."""
    note = ChatMessage("assistant", f"{text} (The answer was stopped here.)".lstrip())
    metadata = run.metadata | {"effects": effects}
    return Entry("agent.interrupted", say(lang, "interrupted"), metadata, "", note, run.run_id)


def timed_out(run: RunRef, lang: str, timeout_s: float, effects: list[str]) -> Entry:
    note = ChatMessage("assistant", "(No answer: it took too long.)")
    metadata = run.metadata | {"timeout_s": timeout_s, "effects": effects}
    sentence = say(lang, "timeout", timeout_s=f"{timeout_s:g}")
    return Entry("agent.timeout", sentence, metadata, "", note, run.run_id)


def of_step(step: Step, run: RunRef, lang: str, age_ms: int) -> Entry:
    """The entry of a durable step of a run that is `age_ms` old. Raises `TypeError` for others."""
    match step:
        case Thought():
            return thinking(step, run)
        case ConfirmationAsked():
            timeout_s = min(step.timeout_s, settings.MYAGENT_CONFIRM_TIMEOUT_S)
            return user_confirm(step, run, lang, timeout_s)
        case ToolStarted():
            return tool_call(step, run, lang)
        case ToolFinished():
            return tool_result(step, run)
        case Answer():
            return final_answer(step, run, age_ms)
    raise TypeError(f"not a durable step: {step!r}")


def session_end(lang: str, reason: str) -> Entry:
    return Entry("agent.session_end", say(lang, "session_end"), {"reason": reason})
