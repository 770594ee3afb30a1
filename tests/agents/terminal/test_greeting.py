"""The lines printed when an agent file is served: what was loaded, and its address."""

from __future__ import annotations

from agents.terminal.greeting import MARKS, greeting
from myagent.models.offline import OfflineModel
from myagent.worker.protocol import AgentInfo, ToolInfo

URL = "ws://localhost:8080/"


def tool(name: str) -> ToolInfo:
    return ToolInfo(name, "", False, False, None)


def said(agent: AgentInfo | None, *, is_marked: bool = False) -> list[str]:
    return greeting("shop", URL, "a/shop.py", agent, is_marked=is_marked).split("\n")


def test_the_agent_its_tools_its_model_and_its_addresses_are_named() -> None:
    agent = AgentInfo("clerk", tools=[tool("sell"), tool("buy")], model="gpt-5")
    assert said(agent) == [
        "Loaded a/shop.py: agent clerk",
        "Tools: sell, buy; model: gpt-5",
        "shop is ready at ws://localhost:8080/ (chat page: http://localhost:8080/)",
    ]


def test_on_a_terminal_each_line_has_its_mark() -> None:
    agent = AgentInfo("clerk")
    marked, plain = said(agent, is_marked=True), said(agent)
    assert marked == [f"{mark} {line}" for mark, line in zip(MARKS[:3], plain, strict=True)]


def test_the_page_of_traces_is_named_where_there_is_one() -> None:
    lines = greeting("shop", URL, "shop.py", None, is_marked=True, has_traces=True).split("\n")
    assert lines[3] == f"{MARKS[3]} Traces: http://localhost:8080/traces/"


def test_the_demo_model_says_how_to_get_a_real_one() -> None:
    assert "set OPENAI_API_KEY" in said(AgentInfo("clerk", model=OfflineModel.model))[1]


def test_what_an_agent_does_not_tell_is_left_out() -> None:
    assert said(AgentInfo("clerk"))[1] == "No tools"
    assert said(None)[0] == "Loaded a/shop.py: agent shop"


def test_an_agent_of_many_tools_and_odd_names_takes_no_more_lines() -> None:
    tools = [tool(f"tool{number}") for number in range(30)]
    lines = said(AgentInfo("a\x1b[31m\nb" * 500, tools=tools))
    assert len(lines) == 3
    assert "\x1b" not in "".join(lines)
    assert lines[1].endswith("tool7 and 22 more")
