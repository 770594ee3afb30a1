"""What the chat page tells about an agent before the first question. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from myagent.models.base import OFFLINE

MAX_TOOLS = 12
"""Number of tools that are named; of the others only the number is shown."""

MAX_ABOUT = 200
"""Maximum number of characters of a tool's description that are shown."""


@dataclass(frozen=True, slots=True)
class ToolShown:
    name: str
    about: str
    asks_first: bool


@dataclass(frozen=True, slots=True)
class Introduction:
    """`more_tools`: how many are not among `tools`. `is_demo`: the demo model answers."""

    name: str
    description: str = ""
    tools: Sequence[ToolShown] = ()
    more_tools: int = 0
    examples: Sequence[str] = ()
    is_demo: bool = False


def introduce(agent: Mapping[str, Any], *, name: str, description: str = "") -> Introduction:
    """`agent`: the fields of an `AgentInfo`, as far as they are known.

    `name`, `description`: those of the service, used where its agent has none.
    """
    tools = agent.get("tools", ())
    return Introduction(
        name=agent.get("name") or name,
        description=agent.get("description") or description,
        tools=[_shown(tool) for tool in tools[:MAX_TOOLS]],
        more_tools=max(0, len(tools) - MAX_TOOLS),
        examples=agent.get("examples", ()),
        is_demo=agent.get("model") == OFFLINE,
    )


def _shown(tool: Mapping[str, Any]) -> ToolShown:
    about = tool["description"].strip().partition("\n")[0]
    if len(about) > MAX_ABOUT:
        about = f"{about[: MAX_ABOUT - 1].rstrip()}…"
    return ToolShown(tool["name"], about, tool["requires_confirmation"])
