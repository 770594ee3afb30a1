"""What is known of an agent, ours or somebody else's, once its file is loaded."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from myagent.agent import Agent
from myagent.examples import MAX_EXAMPLE_LENGTH, MAX_EXAMPLES
from myagent.foreign import ForeignAgent
from myagent.runnable import Runnable
from myagent.tool.text import clean
from myagent.tool.toolbox import PreparedTool
from myagent.worker.codec.fields import MAX_NUMBER
from myagent.worker.protocol import AgentInfo, ToolInfo

TEXT_LIMIT = 2000
"""Characters of a description that are told; names have fewer."""

TOOLS_LIMIT = 200

logger = logging.getLogger(__name__)

_MODEL_NAMES = ("model", "model_name", "model_id")
_DEPTH = 3


def describe(runnable: Runnable, default_name: str = "") -> AgentInfo:
    """Never raises: what an agent does not tell, or not as agents usually do, is left out.

    `default_name` is that of an agent without one.
    """
    if isinstance(runnable, Agent):
        return AgentInfo(
            name=_text(runnable.name),
            description=_text(runnable.description),
            tools=tuple(map(_our_tool, _prepared(runnable))),
            model=_model_of(runnable),
            max_steps=_number(runnable.max_steps),
            enable_tracing=bool(runnable.enable_tracing),
            examples=_texts(runnable.examples),
        )
    agent = runnable.agent if isinstance(runnable, ForeignAgent) else runnable
    return AgentInfo(
        name=_text(_got(runnable, "name")) or default_name or type(agent).__name__,
        description=_text(_got(agent, "description")) or _docstring(agent),
        tools=tuple(_foreign_tools(_got(agent, "tools"))),
        model=_model_name(agent),
        max_steps=_number(_got(runnable, "max_steps")),
        is_continuable=bool(_got(runnable, "is_continuable") or _got(runnable, "is_idempotent")),
        examples=_texts(_got(agent, "examples")),
    )


def _prepared(agent: Agent) -> Iterable[PreparedTool]:
    found = (agent.toolbox.find(name) for name in agent.toolbox.names)
    return [entry for entry in found if entry is not None][:TOOLS_LIMIT]


def _our_tool(entry: PreparedTool) -> ToolInfo:
    return ToolInfo(
        name=_text(entry.spec.name),
        description=_text(entry.spec.description),
        idempotent=bool(entry.tool.idempotent),
        requires_confirmation=bool(entry.tool.requires_confirmation),
        timeout_s=_seconds(entry.tool.timeout_s),
    )


def _foreign_tools(tools: Any) -> Iterable[ToolInfo]:
    """Functions, and objects with a name: that is how other frameworks write them."""
    if isinstance(tools, Mapping):
        tools = list(tools.values())
    if not isinstance(tools, list | tuple):
        return
    for tool in tools[:TOOLS_LIMIT]:
        if name := _text(_got(tool, "name")) or _text(_got(tool, "__name__")):
            description = _text(_got(tool, "description")) or _docstring(tool)
            # Nobody here runs them: what they may do is not known.
            yield ToolInfo(name, description, False, False, None)


def _docstring(value: Any) -> str:
    return _text(inspect.getdoc(value)) if inspect.isroutine(value) else ""


def _model_of(agent: Agent) -> str:
    try:
        return _model_name(agent.chat_model)
    except Exception:
        # The first question to the model fails for the same reason, and says so to its asker.
        logger.warning("model_unknown agent=%r", agent.name, exc_info=True)
        return ""


def _model_name(holder: Any, depth: int = _DEPTH) -> str:
    """A model's name, wherever the agent keeps it: as a text, or in an object."""
    for attribute in _MODEL_NAMES:
        value = _got(holder, attribute)
        if name := _text(value):
            return name
        if value is not None and depth > 1 and (name := _model_name(value, depth - 1)):
            return name
    return ""


def _got(value: Any, attribute: str) -> Any:
    """The attribute, or None; a property of somebody else's may raise anything."""
    try:
        return getattr(value, attribute, None)
    except Exception:
        return None


def _text(value: Any) -> str:
    return clean(value.strip())[:TEXT_LIMIT] if isinstance(value, str) else ""


def _texts(values: Any) -> tuple[str, ...]:
    """The texts in a list; a foreign list is limited to the same number as ours."""
    if not isinstance(values, list | tuple):
        return ()
    found = (_text(value)[:MAX_EXAMPLE_LENGTH] for value in values[:MAX_EXAMPLES])
    return tuple(text for text in found if text)


def _number(value: Any) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return min(value, MAX_NUMBER) if is_number and value > 0 else None


def _seconds(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= MAX_NUMBER else None
