"""An agent that works in steps, without the time that a real model takes."""

from myagent import create_react_agent
from myagent.messages import ToolCall
from myagent.models.base import Completion
from myagent.tool import tool


@tool
async def look_up(word: str) -> str:
    """Says what a word means."""
    return f"{word}: found"


class OneTool:
    """A model that calls its tool once and then answers with the question."""

    name = "stepping"

    async def stream(self, messages, tools):
        last = messages[-1]
        if last.role == "tool":
            asked = next(each.content for each in reversed(messages) if each.role == "user")
            yield Completion(f"Answer to {asked}")
        else:
            yield Completion(tool_calls=(ToolCall("call", "look_up", '{"word": "rain"}'),))


agent = create_react_agent(name="stepping", tools=[look_up], model=OneTool())
