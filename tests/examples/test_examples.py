"""The example agents, with the offline demo model and no network."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from myagent.foreign import ForeignAgent
from myagent.messages import ChatMessage
from myagent.runnable import Runnable
from myagent.steps import (
    Answer,
    ConfirmationAsked,
    Decision,
    Step,
    TextDelta,
    ToolFinished,
    ToolStarted,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = "websocket_trace_server.py"
"""No agent file: it serves one."""
AGENT_FILES = sorted(path for path in EXAMPLES.glob("*.py") if path.name != PROGRAM)


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    yield


def load(name: str) -> ModuleType:
    """A fresh copy of an example: its memory is a module's."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def nobody(asked: ConfirmationAsked) -> Decision:
    raise AssertionError(f"{asked.tool} asked for a confirmation")


async def ask(agent: Runnable, question: str) -> list[Step]:
    history = [ChatMessage("user", question)]
    return [step async for step in agent.run(history, confirm=nobody)]


@pytest.mark.parametrize("path", AGENT_FILES, ids=lambda path: path.stem)
def test_each_example_says_how_to_run_it(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert f"scripts/server examples/{path.name}" in (docstring or "")


async def test_the_echo_agent_says_what_it_was_told_in_one_piece() -> None:
    agent = ForeignAgent(load("echo_agent").agent)
    steps = await ask(agent, "hello")
    assert [step.text for step in steps if isinstance(step, TextDelta)] == ["You said: hello"]
    assert isinstance(steps[-1], Answer) and steps[-1].text == "You said: hello"


def test_the_echo_agent_may_start_again() -> None:
    assert ForeignAgent(load("echo_agent").agent).is_idempotent


@pytest.mark.parametrize(
    ("question", "tools", "told"),
    [
        ("北京今天天气怎么样？", ["get_weather"], ["北京", "22°C"]),
        ("Tell me about Shanghai", ["get_city_info"], ["Shanghai", "24.9 million"]),
        ("介绍一下纽约", ["get_city_info"], ["纽约", "830"]),
        ("How hot is it in Chengdu?", ["get_weather"], ["Chengdu", "24°C"]),
        ("成都市的天气", ["get_weather"], ["成都", "24°C"]),
        (
            "What is the weather in Beijing and Tokyo?",
            ["get_weather", "get_weather"],
            ["Beijing", "22°C", "Tokyo", "25°C"],
        ),
        ("伦敦的人口多少？", ["get_city_info"], ["伦敦", "890"]),
        ("Which is the warmest of Paris, London and Tokyo?", ["find_warmest"], ["Tokyo"]),
        ("compare beijing and new york weather", ["get_weather"] * 2, ["22°C", "20°C"]),
        ("Compare Paris and London", ["find_warmest"], ["Paris"]),
        ("北京和上海哪个最暖和", ["find_warmest"], ["上海"]),
    ],
)
async def test_the_weather_agent_answers(question: str, tools: list[str], told: list[str]) -> None:
    steps = await ask(load("ws_weather_agent").agent, question)
    finished = [step for step in steps if isinstance(step, ToolFinished)]
    assert [step.tool for step in finished] == tools
    assert {step.status for step in finished} == {"success"}
    last = steps[-1]
    assert isinstance(last, Answer)
    assert all(text in last.text for text in told), last.text
    streamed = "".join(step.text for step in steps if isinstance(step, TextDelta))
    assert streamed == last.text


async def test_tools_of_one_question_start_together() -> None:
    steps = await ask(load("ws_weather_agent").agent, "weather in Paris and London")
    kinds = [type(step) for step in steps if isinstance(step, ToolStarted | ToolFinished)]
    assert kinds == [ToolStarted, ToolStarted, ToolFinished, ToolFinished]


@pytest.mark.parametrize(
    "question", ["Weather in Atlantis?", "亚特兰蒂斯的天气", "Tell me about Atlantis"]
)
async def test_a_city_without_data_is_a_plain_answer(question: str) -> None:
    steps = await ask(load("ws_weather_agent").agent, question)
    assert [step.status for step in steps if isinstance(step, ToolFinished)] == ["error"]
    assert isinstance(steps[-1], Answer)
    assert "Known cities" in steps[-1].text


async def test_the_weather_agent_can_be_asked_in_one_call() -> None:
    assert "Tokyo is sunny" in await load("ws_weather_agent").agent.arun("Weather in Tokyo?")


def test_the_weather_tools_may_run_again() -> None:
    assert all(tool.idempotent for tool in load("ws_weather_agent").agent.tools)


SEEDED = ("ws_weather_agent", "approval_agent", "support_en_agent", "support_zh_agent")


@pytest.mark.parametrize(
    ("name", "question"),
    [(name, question) for name in SEEDED for question in load(name).agent.examples],
)
async def test_a_question_that_is_offered_leads_to_an_answer_with_tools(
    name: str, question: str
) -> None:
    confirm = deciding([], Decision(approved=True))
    run = load(name).agent.run([ChatMessage("user", question)], confirm=confirm)
    steps = [step async for step in run]
    results = [step.status for step in steps if isinstance(step, ToolFinished)]
    assert results and set(results) == {"success"}, steps[-1]


@pytest.mark.parametrize("path", AGENT_FILES, ids=lambda path: path.stem)
def test_each_example_offers_questions(path: Path) -> None:
    assert re.search(r"\bexamples ?= ?\[", path.read_text(encoding="utf-8"))


def deciding(asked: list[ConfirmationAsked], decision: Decision) -> Any:
    async def confirm(question: ConfirmationAsked) -> Decision:
        asked.append(question)
        return decision

    return confirm


@pytest.mark.parametrize(
    ("question", "args"),
    [
        ("Order 3 notebooks", {"product": "notebook", "quantity": 3}),
        ("下单 3 本 notebook", {"product": "notebook", "quantity": 3}),
        ("order a lamp please", {"product": "lamp"}),
        ("buy 2 pencils", {"product": "pencil", "quantity": 2}),
    ],
)
async def test_an_order_is_placed_after_a_yes(question: str, args: dict[str, Any]) -> None:
    shop = load("approval_agent")
    asked: list[ConfirmationAsked] = []
    text = await shop.agent.arun(question, confirm=deciding(asked, Decision(True)))
    assert [one.args for one in asked] == [args]
    assert "is placed" in text
    assert len(shop.orders) == 1


async def test_nothing_is_ordered_after_a_no() -> None:
    shop = load("approval_agent")
    asked: list[ConfirmationAsked] = []
    text = await shop.agent.arun("Order a lamp", confirm=deciding(asked, Decision(False)))
    assert len(asked) == 1
    assert "declined" in text
    assert shop.orders == []


@pytest.mark.parametrize("question", ["Show the menu", "查看菜单"])
async def test_the_menu_needs_no_confirmation(question: str) -> None:
    assert "lamp" in await load("approval_agent").agent.arun(question, confirm=nobody)


async def test_the_orders_can_be_listed() -> None:
    shop = load("approval_agent")
    shop.orders.append("1 × lamp for 29.00")
    assert "1 × lamp" in await shop.agent.arun("List my orders", confirm=nobody)


@pytest.mark.parametrize(
    ("desk", "question", "tool", "told"),
    [
        ("support_en_agent", "Where is my order A1002?", "get_order_status", "expected tomorrow"),
        ("support_en_agent", "track a1003", "get_order_status", "being packed"),
        ("support_zh_agent", "我的订单 A1002 到哪了？", "get_order_status", "预计明天送到"),
        ("support_zh_agent", "查一下订单A1003的状态", "get_order_status", "正在打包"),
        (
            "support_en_agent",
            "What is the refund policy for electronics?",
            "get_refund_policy",
            "within 14 days",
        ),
        ("support_en_agent", "What is your refund policy?", "get_refund_policy", "30 days"),
        ("support_zh_agent", "电子产品的退款政策是什么？", "get_refund_policy", "14 天内"),
        ("support_zh_agent", "服装怎么退货", "get_refund_policy", "30 天内"),
    ],
)
async def test_a_support_desk_answers(desk: str, question: str, tool: str, told: str) -> None:
    steps = await ask(load(desk).agent, question)
    finished = [step for step in steps if isinstance(step, ToolFinished)]
    assert [(step.tool, step.status) for step in finished] == [(tool, "success")]
    last = steps[-1]
    assert isinstance(last, Answer) and told in last.text


@pytest.mark.parametrize(
    ("desk", "question"),
    [
        ("support_en_agent", "What is the status of order A9999?"),
        ("support_zh_agent", "订单 A9999 到哪了"),
    ],
)
async def test_an_order_that_is_not_there_is_a_plain_answer(desk: str, question: str) -> None:
    steps = await ask(load(desk).agent, question)
    assert [step.status for step in steps if isinstance(step, ToolFinished)] == ["error"]
    assert isinstance(steps[-1], Answer) and "A9999" in steps[-1].text


@pytest.mark.parametrize(
    ("name", "question", "problem"),
    [
        ("support_en_agent", "Open a ticket: my parcel arrived damaged", "damaged"),
        ("support_zh_agent", "提交工单：包裹送到时坏了", "包裹送到时坏"),
    ],
)
async def test_a_ticket_is_opened_after_a_yes_only(name: str, question: str, problem: str) -> None:
    desk = load(name)
    asked: list[ConfirmationAsked] = []
    await desk.agent.arun(question, confirm=deciding(asked, Decision(False)))
    assert desk.tickets == []
    text = await desk.agent.arun(question, confirm=deciding(asked, Decision(True)))
    assert [one.tool for one in asked] == ["open_ticket"] * 2
    assert problem in desk.tickets[0]
    assert "T001" in text


def test_both_support_desks_know_the_same_orders_and_tools() -> None:
    english, chinese = load("support_en_agent"), load("support_zh_agent")
    assert english.ORDERS.keys() == chinese.ORDERS.keys()
    names = [[tool.name for tool in desk.agent.tools] for desk in (english, chinese)]
    assert names[0] == names[1]
