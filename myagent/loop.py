"""The ReAct loop: a conversation in, steps out; no I/O but the model and the tools."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from myagent.asking import ask, is_empty
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import ChatModel, Completion, Cut, ModelError, NoMoreTools
from myagent.runnable import NOTHING_DONE
from myagent.steps import (
    Answer,
    Confirm,
    OpenCall,
    Resume,
    Step,
    StopReason,
    TextDelta,
    Thought,
    ToolFinished,
)
from myagent.tool.batch import run_calls
from myagent.tool.text import clean
from myagent.tool.toolbox import Toolbox

NO_ANSWER = "I stopped after {steps} steps without reaching an answer."
NO_MORE_TOOLS = "No more tools can be called. Answer now, with what you know."

MOST_OF_A_NAME = 200
"""Characters of a tool name from the model that are kept; no tool has a longer name."""


class Reacting(Protocol):
    """What the loop requires of an agent: see `myagent.agent.Agent`."""

    @property
    def next_step_prompt(self) -> str: ...

    @property
    def max_steps(self) -> int: ...

    @property
    def toolbox(self) -> Toolbox: ...

    @property
    def chat_model(self) -> ChatModel: ...

    @property
    def system_message(self) -> ChatMessage | None: ...


async def react(
    agent: Reacting,
    history: Sequence[ChatMessage],
    *,
    confirm: Confirm,
    resume: Resume = NOTHING_DONE,
) -> AsyncGenerator[Step, None]:
    """Answers the last message of `history`, or goes on with a run that was interrupted.

    `history` holds the conversation without the system prompt; of an
    interrupted run also the messages of its completed steps. Each step counts
    as committed once the next one is asked for; only then does what it
    announces happen. The text pieces of a step, since its last `StepStarted`,
    are the text of its `Thought`; those of the last step are the answer.

    Raises `ModelError`, and what `confirm` raises; a tool's failure is a
    result. Close the generator (`contextlib.aclosing`) to stop: its tools are
    cancelled and awaited for a bounded time. Cancelling is safe.
    """
    run = _Run(agent, history, confirm, resume)
    while run.answer is None:
        phase = run.act() if run.open_calls else run.think()
        async with aclosing(phase) as steps:
            async for step in steps:
                yield step
    yield run.answer


class _Stopwatch:
    """Measures how long a model takes, in milliseconds."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.first_text_ms: int | None = None

    def elapsed_ms(self) -> int:
        return round((time.monotonic() - self._began) * 1000)

    def note_text(self) -> None:
        if self.first_text_ms is None:
            self.first_text_ms = self.elapsed_ms()


class _Run:
    """The state of a run: the context, the open calls, and finally the answer."""

    def __init__(
        self, agent: Reacting, history: Sequence[ChatMessage], confirm: Confirm, resume: Resume
    ) -> None:
        self.agent = agent
        self.confirm = confirm
        self.context = list(history)
        self.open_calls = resume.open_calls
        self.step = resume.step
        self.usage = resume.usage
        self.answer = self._answer_reached()

    def _answer_reached(self) -> Answer | None:
        """The answer, if the run was interrupted between the last reply and its end."""
        if not self.step or self.open_calls or not self.context:
            return None
        last = self.context[-1]
        is_reply = last.role == "assistant" and not last.tool_calls
        return self._answer(last.content) if is_reply else None

    def _answer(self, text: str, cut: Cut = "") -> Answer:
        usual: StopReason = "max_steps" if self._is_last else "answer"
        return Answer(text, steps=self.step, usage=self.usage, stop_reason=cut or usual)

    @property
    def _is_last(self) -> bool:
        """Whether the current step is the last one, which has no tools."""
        return self.step > self.agent.max_steps

    async def think(self) -> AsyncGenerator[Step, None]:
        """One model step. Raises `ModelError`."""
        self.step += 1
        is_last = self._is_last
        stopwatch = _Stopwatch()
        completion = Completion()
        specs = self.agent.toolbox.specs
        specs = NoMoreTools.of(specs) if is_last else specs
        pieces = ask(self.agent.chat_model, self._question(), specs, self.step)
        async with aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, Completion):
                    completion = piece
                    continue
                if isinstance(piece, TextDelta):
                    stopwatch.note_text()
                yield piece
        if is_last and (completion.tool_calls or is_empty(completion)):
            said = completion.text
            completion = _plain(completion, self.agent.max_steps)
            yield TextDelta(self.step, completion.text[len(said) :])
        if is_empty(completion):
            raise ModelError("The model gave an empty reply.", is_retryable=True)
        yield self._thought(completion, stopwatch)

    def _question(self) -> list[ChatMessage]:
        system = self.agent.system_message
        prompts = [self.agent.next_step_prompt, NO_MORE_TOOLS if self._is_last else ""]
        prompt = "\n\n".join(filter(None, prompts))
        return [
            *([system] if system else []),
            *self.context,
            *([ChatMessage("user", prompt, is_instruction=True)] if prompt else []),
        ]

    def _thought(self, completion: Completion, stopwatch: _Stopwatch) -> Thought:
        calls = tuple(_with_fresh_id(call) for call in completion.tool_calls)
        kept = completion.kept if calls else None
        message = ChatMessage("assistant", completion.text, calls, reasoning=kept)
        self.context.append(message)
        self.usage += completion.usage
        self.open_calls = tuple(OpenCall(call) for call in calls)
        if not calls:
            self.answer = self._answer(completion.text, completion.cut)
        return Thought(
            self.step,
            completion.reasoning,
            message,
            completion.usage,
            stopwatch.elapsed_ms(),
            stopwatch.first_text_ms,
        )

    async def act(self) -> AsyncGenerator[Step, None]:
        """The open calls. Raises what `confirm` raises."""
        results = []
        async with aclosing(run_calls(self.open_calls, self.agent.toolbox, self.confirm)) as steps:
            async for step in steps:
                if isinstance(step, ToolFinished):
                    results.append(step.message)
                yield step
        self.context = with_results(self.context, results)
        self.open_calls = ()


def _with_fresh_id(call: ToolCall) -> ToolCall:
    """The call under an id that is unique: models repeat theirs, or leave them empty."""
    name = clean(call.name)[:MOST_OF_A_NAME]
    return ToolCall(f"call_{secrets.token_hex(12)}", name, clean(call.arguments))


def _plain(completion: Completion, steps: int) -> Completion:
    """Replaces a last reply without an answer; text that was streamed is kept."""
    gap = "\n\n" if completion.text.strip() else ""
    text = completion.text + gap + NO_ANSWER.format(steps=steps)
    return replace(completion, text=text, tool_calls=())


def with_results(
    context: Sequence[ChatMessage], results: Iterable[ChatMessage]
) -> list[ChatMessage]:
    """The context with results of its last calls added, all of them in the order of the calls."""
    messages = [*context, *results]
    asked = [index for index, message in enumerate(messages) if message.tool_calls]
    if not asked:
        return messages
    start = asked[-1] + 1
    order = {call.id: place for place, call in enumerate(messages[asked[-1]].tool_calls)}
    return messages[:start] + sorted(
        messages[start:], key=lambda message: order.get(message.tool_call_id or "", len(order))
    )
