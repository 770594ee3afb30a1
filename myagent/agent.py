"""An agent: an immutable definition, and the methods that run it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from myagent.agent_env import apply_beside, file_of_caller
from myagent.examples import checked
from myagent.foreign import ForeignAgent
from myagent.loop import react
from myagent.messages import ChatMessage
from myagent.models.base import ChatModel
from myagent.runnable import NOTHING_DONE, AgentError, Runnable
from myagent.steps import Answer, Confirm, ConfirmationAsked, Decision, Resume, Step
from myagent.tool.base_tool import BaseTool
from myagent.tool.text import clean
from myagent.tool.toolbox import Toolbox, ToolLike

__all__ = ["Agent", "AgentError", "ForeignAgent", "Runnable", "create_react_agent"]

NOBODY_TO_ASK = "This tool needs a confirmation, and nobody is there to give one (pass confirm=…)."


@dataclass(frozen=True, eq=False)
class Agent:
    """An agent that thinks and acts in turns, with tools.

    `tools` are `BaseTool` instances, their classes, or functions. `model` is a model's name, an
    object with the `ChatModel` protocol, or None for the model named in the environment. After
    `max_steps` model steps that all called tools, one last step without tools gives the answer.
    `next_step_prompt` is added to each request to the model. `model_timeout_s` is how long the
    model's server may send nothing; None: as the environment says. `examples` are sample questions
    that a chat page offers (see `myagent.examples`).

    No state of a run is kept here: an agent can serve many runs at a time. Raises `TypeError` or
    `ValueError` for an invalid definition.
    """

    name: str = "agent"
    tools: Sequence[BaseTool] = ()
    system_prompt: str = ""
    next_step_prompt: str = ""
    max_steps: int = 10
    enable_tracing: bool = True
    model: ChatModel | str | None = None
    description: str = ""
    model_timeout_s: float | None = None
    examples: Sequence[str] = ()
    toolbox: Toolbox = field(init=False, repr=False)
    file: Path | None = field(init=False, repr=False)
    """The file that created the agent: the `.env` beside it is read before the first request."""

    is_continuable = True
    is_idempotent = False

    def __post_init__(self) -> None:
        for prompt in ("system_prompt", "next_step_prompt", "description"):
            if getattr(self, prompt) is None:
                object.__setattr__(self, prompt, "")
        _check(self)
        object.__setattr__(self, "file", file_of_caller())
        object.__setattr__(self, "examples", checked(self.examples))
        toolbox = Toolbox(self.tools or ())
        object.__setattr__(self, "toolbox", toolbox)
        object.__setattr__(self, "tools", tuple(toolbox))

    @cached_property
    def chat_model(self) -> ChatModel:
        """The model; it is prepared when it is first needed, which may take a second."""
        if self.model is not None and not isinstance(self.model, str):
            return self.model
        from myagent.models import resolve_model

        return resolve_model(self.model, timeout_s=self.model_timeout_s)

    @cached_property
    def system_message(self) -> ChatMessage | None:
        prompt = clean(self.system_prompt)
        return ChatMessage("system", prompt) if prompt else None

    def run(
        self,
        history: Sequence[ChatMessage],
        *,
        confirm: Confirm,
        resume: Resume = NOTHING_DONE,
    ) -> AsyncGenerator[Step, None]:
        """The steps of a run; see `myagent.loop.react`."""
        return react(self, history, confirm=confirm, resume=resume)

    async def astream(
        self,
        text: str,
        *,
        history: Iterable[ChatMessage | Mapping[str, Any]] = (),
        confirm: Confirm | None = None,
    ) -> AsyncGenerator[Step, None]:
        """Yields the steps of the answer to `text`, the `Answer` last.

        `history` are the earlier messages, also as dicts in the shape of the OpenAI chat API.
        Without `confirm`, tools that need a confirmation are declined. The `.env` beside the
        agent's file is read first; variables that are already set take precedence. Raises
        `ModelError`, and `EnvFileError` if that file can't be read. Cancelling is safe.
        """
        if not isinstance(text, str):
            raise TypeError(f"an agent is asked with a text, not with {type(text).__name__}")
        if self.file is not None:
            apply_beside(self.file)
        messages = [*map(_message, history), ChatMessage("user", clean(text))]
        async with aclosing(self.run(messages, confirm=confirm or _decline)) as steps:
            async for step in steps:
                yield step

    async def arun(
        self,
        text: str,
        *,
        history: Iterable[ChatMessage | Mapping[str, Any]] = (),
        confirm: Confirm | None = None,
    ) -> str:
        """The answer to `text`; see `astream`."""
        answer = ""
        async with aclosing(self.astream(text, history=history, confirm=confirm)) as steps:
            async for step in steps:
                if isinstance(step, Answer):
                    answer = step.text
        return answer


def create_react_agent(
    name: str = "agent", tools: Iterable[ToolLike] | None = None, **options: Any
) -> Agent:
    """Makes an `Agent`; the options are its fields. Raises `TypeError`, `ValueError`."""
    known = [entry.name for entry in fields(Agent) if entry.init]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(
            f"create_react_agent() knows no {', '.join(map(repr, unknown))}; "
            f"it knows {', '.join(known)}"
        )
    return Agent(name, tools, **options)  # type: ignore[arg-type]


def _check(agent: Agent) -> None:
    for attribute in ("name", "system_prompt", "next_step_prompt", "description"):
        value = getattr(agent, attribute)
        if not isinstance(value, str):
            raise TypeError(f"an agent's {attribute} must be a text, not {type(value).__name__}")
    if not agent.name.strip():
        raise ValueError("an agent needs a name: name='…'")
    steps = agent.max_steps
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise ValueError(f"max_steps must be a whole number above 0, not {steps!r}")
    timeout_s = agent.model_timeout_s
    if timeout_s is not None and not (_is_number(timeout_s) and timeout_s > 0):
        raise ValueError(f"model_timeout_s must be a number of seconds above 0, not {timeout_s!r}")
    if agent.tools is not None and not isinstance(agent.tools, Iterable):
        raise TypeError(f"tools must be a list of tools, not {type(agent.tools).__name__}")
    model = agent.model
    is_object = model is not None and not isinstance(model, str)
    if is_object and (isinstance(model, type) or not isinstance(model, ChatModel)):
        raise TypeError(
            "model must be a model's name, or an object with stream(messages, tools), "
            f"not {model!r}"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _message(message: ChatMessage | Mapping[str, Any]) -> ChatMessage:
    return message if isinstance(message, ChatMessage) else ChatMessage.from_dict(message)


async def _decline(asked: ConfirmationAsked) -> Decision:
    return Decision(approved=False, feedback=NOBODY_TO_ASK)
