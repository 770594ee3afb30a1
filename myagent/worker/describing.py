"""What people are shown of an agent, read off an object that may be anybody's."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from myagent.agent import Agent
from myagent.foreign import ForeignAgent
from myagent.runnable import Runnable
from myagent.tool.base_tool import BaseTool
from myagent.tool.text import cut, text_of
from myagent.worker.protocol import AgentInfo, ToolInfo

MAX_TEXT_BYTES = 8 * 1024
MAX_TOOLS = 256

logger = logging.getLogger(__name__)


def describe(agent: Runnable, default_name: str) -> AgentInfo:
    """Never raises; texts and lists are cut to a bounded length."""
    steps = _read(agent, "max_steps")
    shown = agent.agent if isinstance(agent, ForeignAgent) else agent
    return AgentInfo(
        name=_text(agent, "name") or default_name,
        description=_text(shown, "description"),
        tools=_tools(agent.tools) if isinstance(agent, Agent) else (),
        model=_model(agent) if isinstance(agent, Agent) else "",
        max_steps=steps if isinstance(steps, int) else None,
    )


def _tools(tools: Iterable[BaseTool]) -> list[ToolInfo]:
    return [
        ToolInfo(
            name=tool.name,
            description=_text(tool, "description"),
            idempotent=bool(tool.idempotent),
            requires_confirmation=bool(tool.requires_confirmation),
            timeout_s=tool.timeout_s,
        )
        for tool in list(tools)[:MAX_TOOLS]
    ]


def _model(agent: Agent) -> str:
    """The model's name, as the model itself says it."""
    try:
        model = agent.chat_model
    except Exception:
        logger.warning("the agent's model can't be made yet", exc_info=True)
        return ""
    return _text(model, "model") or type(model).__name__


def _text(owner: object, attribute: str) -> str:
    value = _read(owner, attribute)
    if not isinstance(value, str):
        return ""
    return cut(text_of(value), MAX_TEXT_BYTES)[0]


def _read(owner: object, attribute: str) -> Any:
    try:
        return getattr(owner, attribute, None)
    except Exception:
        logger.warning("%s of the agent can't be read", attribute, exc_info=True)
        return None
