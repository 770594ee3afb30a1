"""The offline demo model, asked as the loop asks it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import ChatModel, Completion, ToolSpec
from myagent.models.offline import OfflineModel
from myagent.models.offline.model import MAX_READ
from myagent.models.offline.question import Question

STRING = {"type": "string"}
INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
BOOLEAN = {"type": "boolean"}
NUMBERS = {"type": "array", "items": NUMBER}


def spec(
    name: str, description: str = "", /, *optional: str, **properties: dict[str, Any]
) -> ToolSpec:
    """A tool that requires all its parameters but the `optional` ones."""
    required = [key for key in properties if key not in optional]
    schema = {"type": "object", "properties": properties, "required": required}
    return ToolSpec(name, description, schema)


CITY = {"type": "string", "description": "City name, e.g. Oslo or 奥斯陆"}
ENGLISH = [
    spec("get_weather", "Get the weather of a city", city=CITY),
    spec("get_city_info", "Get information about a city", city=CITY),
    spec("get_time", "Local time of a city", city=CITY),
]
CHINESE = [
    spec("get_weather", "获取指定城市的天气信息", city={**STRING, "description": "城市名称"}),
    spec("search_city", "查询城市信息", city={**STRING, "description": "城市名称"}),
]
Messages = list[ChatMessage]


def user(text: str) -> ChatMessage:
    return ChatMessage("user", text)


async def complete(messages: Messages, tools: list[ToolSpec]) -> Completion:
    *pieces, last = [item async for item in OfflineModel().stream(messages, tools)]
    assert isinstance(last, Completion)
    assert "".join(map(str, pieces)) == last.text
    assert all(pieces)
    return last


async def calls(question: str, tools: list[ToolSpec], *before: ChatMessage) -> list[Any]:
    completion = await complete([*before, user(question)], tools)
    assert completion.tool_calls == () or completion.text == ""
    return [(call.name, json.loads(call.arguments)) for call in completion.tool_calls]


async def answer(question: str, tools: list[ToolSpec], *results: tuple[ToolCall, str]) -> str:
    messages = [user(question)]
    if results:
        messages.append(ChatMessage("assistant", "", tuple(call for call, _ in results)))
    for call, content in results:
        messages.append(ChatMessage("tool", content, tool_call_id=call.id))
    completion = await complete(messages, tools)
    assert not completion.tool_calls
    return completion.text


def a_call(name: str = "get_weather", **args: Any) -> ToolCall:
    return ToolCall("call_1", name, json.dumps(args))


async def test_a_number_of_any_length_is_passed_on_and_told() -> None:
    square = [spec("square", "The square of a number", n=INTEGER)]
    long = 123456789012345678901234567890
    assert await calls(f"square {long}", square) == [("square", {"n": long})]
    given = f'{{"square": {long**2}}}'
    assert str(long**2) in await answer(f"square {long}", square, (a_call("square", n=long), given))


def test_it_is_a_chat_model() -> None:
    assert isinstance(OfflineModel(), ChatModel)


@pytest.mark.parametrize("tools", [ENGLISH, CHINESE], ids=["english", "chinese"])
@pytest.mark.parametrize(
    ("question", "city"),
    [
        ("北京今天天气怎么样？", "北京"),
        ("帮我查一下广州的天气", "广州"),
        ("成都的天气", "成都"),
        ("What is the weather like in San Francisco today?", "San Francisco"),
        ("weather in new york please", "new york"),
        ("Is it nice weather in Rio de Janeiro?", "Rio de Janeiro"),
    ],
)
async def test_the_weather_is_asked_for_the_city_that_was_named(
    tools: list[ToolSpec], question: str, city: str
) -> None:
    assert await calls(question, tools) == [("get_weather", {"city": city})]


@pytest.mark.parametrize(
    ("question", "tools", "expected"),
    [
        ("Tell me about Shanghai", ENGLISH, ("get_city_info", {"city": "Shanghai"})),
        ("Tell me about Shanghai", CHINESE, ("search_city", {"city": "Shanghai"})),
        ("介绍一下上海", ENGLISH, ("get_city_info", {"city": "上海"})),
    ],
)
async def test_about_means_information(
    question: str, tools: list[ToolSpec], expected: tuple[str, dict[str, Any]]
) -> None:
    assert await calls(question, tools) == [expected]


@pytest.mark.parametrize(
    ("question", "values"),
    [
        ("weather in Beijing and Shanghai", ["Beijing", "Shanghai"]),
        ("weather in Oslo, Bergen and Narvik?", ["Oslo", "Bergen", "Narvik"]),
        ("北京和上海的天气", ["北京", "上海"]),
        ("Weather of Oslo and Bergen", ["Oslo", "Bergen"]),
    ],
)
async def test_several_values_become_several_calls(question: str, values: list[str]) -> None:
    assert await calls(question, ENGLISH) == [("get_weather", {"city": v}) for v in values]


async def test_of_two_topics_one_is_answered() -> None:
    ((tool, args),) = await calls("What's the weather and the time in Paris?", ENGLISH)
    assert tool in ("get_weather", "get_time")
    assert args == {"city": "Paris"}


TOOLS = {
    "send": spec("send_message", "Send a message to a person", to=STRING, text=STRING),
    "calculate": spec("calculate", "Evaluate arithmetic", expression=STRING),
    "flight": spec(
        "book_flight", "Book a flight", "date", origin=STRING, destination=STRING, date=STRING
    ),
    "translate": spec("translate_text", "Translate", text=STRING, target_language=STRING),
    "add": spec("add_numbers", "Add two numbers", a=NUMBER, b=NUMBER),
    "echo": spec("echo", "Repeat a text", text=STRING),
    "sum": spec("sum_list", "Sum of a list", numbers=NUMBERS),
    "diary": spec("写日记", "写一篇日记", 标题=STRING, 内容=STRING),
    "rows": spec(
        "show_rows",
        "Show rows of a table. 显示表的数据、记录",
        "limit",
        table={**STRING, "description": "Name of a table"},
        limit=INTEGER,
    ),
    "lamp": spec("lampSwitch", "Switches a lamp", room=STRING, on=BOOLEAN),
    "mix": spec("mix_paint", "Mix paint", tags={"type": "array", "items": STRING}, ratio=NUMBER),
    "user": spec(
        "create_account", "Create an account", login=STRING, email={**STRING, "format": "email"}
    ),
    "stock": spec("query_stock", "查询股票价格", symbol={**STRING, "description": "如 ACME"}),
    "convert": spec(
        "convertMoney", "Convert money", money=NUMBER, from_unit=STRING, to_unit=STRING
    ),
    "zorble": spec(
        "flume_zorble",
        "Counts wobbles",
        *("mode", "verbose"),
        plonk=STRING,
        grint=INTEGER,
        mode={"type": "string", "enum": ["fast", "slow"]},
        verbose=BOOLEAN,
    ),
}


@pytest.mark.parametrize(
    ("tool", "question", "args"),
    [
        ("send", "Send a message to Bob saying hello there", {"to": "Bob", "text": "hello there"}),
        ("send", "给小明发消息说晚上一起吃饭", {"to": "小明", "text": "晚上一起吃饭"}),
        ("send", 'message to "Bob B": "hi"', {"to": "Bob B", "text": "hi"}),
        ("calculate", "calculate 2+3*4", {"expression": "2+3*4"}),
        ("calculate", "计算 (1+2)*3", {"expression": "(1+2)*3"}),
        (
            "flight",
            "Book a flight from Paris to New York",
            {"origin": "Paris", "destination": "New York"},
        ),
        ("flight", "从北京到上海的航班", {"origin": "北京", "destination": "上海"}),
        (
            "translate",
            "Translate good morning to French",
            {"text": "good morning", "target_language": "French"},
        ),
        ("add", "add 3 and 4.5", {"a": 3, "b": 4.5}),
        ("add", "add -3 and 1,200", {"a": -3, "b": 1200}),
        ("echo", "echo how are you", {"text": "how are you"}),
        ("echo", "echo hello world", {"text": "hello world"}),
        ("sum", "sum of the list 1, 2, 3.5", {"numbers": [1, 2, 3.5]}),
        ("diary", "写日记，标题是春游，内容是天很蓝", {"标题": "春游", "内容": "天很蓝"}),
        (
            "user",
            "create an account for alice with email a@b.co",
            {"login": "alice", "email": "a@b.co"},
        ),
        ("stock", "ACME股票价格", {"symbol": "ACME"}),
        ("rows", "show 10 rows of the users table", {"table": "users", "limit": 10}),
        ("rows", "显示用户表的10条用户数据", {"table": "用户表", "limit": 10}),
        ("rows", "显示 users 表的 3 条数据", {"table": "users", "limit": 3}),
        ("rows", "显示订单表的前5条记录", {"table": "订单表", "limit": 5}),
        (
            "convert",
            "convert money: 12.5 from GBP to JPY",
            {"money": 12.5, "from_unit": "GBP", "to_unit": "JPY"},
        ),
        ("lamp", "switch the kitchen lamp off", {"room": "kitchen", "on": False}),
        ("lamp", "lamp switch, room: attic, on: true", {"room": "attic", "on": True}),
        (
            "mix",
            "mix paint tags red, blue and green, ratio 0.5",
            {
                "tags": ["red", "blue", "green"],
                "ratio": 0.5,
            },
        ),
        (
            "zorble",
            "Flume zorble with plonk kestrel and grint 42",
            {
                "plonk": "kestrel",
                "grint": 42,
            },
        ),
        (
            "zorble",
            "zorble the flume 17 fast harbor not verbose",
            {
                "plonk": "harbor",
                "grint": 17,
                "mode": "fast",
                "verbose": False,
            },
        ),
        ("zorble", "flume_zorble(plonk='a b', grint=-3)", {"plonk": "a b", "grint": -3}),
        ("zorble", "把 plonk 设为 橡树，grint 为 5，flume zorble", {"plonk": "橡树", "grint": 5}),
    ],
)
async def test_values_are_found_in_the_question(
    tool: str, question: str, args: dict[str, Any]
) -> None:
    assert await calls(question, list(TOOLS.values())) == [(TOOLS[tool].name, args)]


async def test_a_tool_that_needs_nothing_is_called_bare() -> None:
    tools = [spec("roll_dice", "Roll the dice"), *ENGLISH]
    assert await calls("Please roll the dice!", tools) == [("roll_dice", {})]


async def test_a_greeting_tool_greets_by_name() -> None:
    tools = [spec("say_hello", "Greets someone", name=STRING)]
    assert await calls("Say hello to Bob", tools) == [("say_hello", {"name": "Bob"})]
    assert await calls("greet Alice", tools) == [("say_hello", {"name": "Alice"})]


async def test_a_value_that_the_schema_forbids_is_not_taken() -> None:
    tools = [spec("set_volume", "Set the volume", level={**INTEGER, "maximum": 10})]
    assert await calls("volume 99", tools) == []
    assert await calls("volume 9", tools) == [("set_volume", {"level": 9})]


async def test_an_option_is_taken_when_it_is_named_and_only_then() -> None:
    tools = [
        spec(
            "roll_dice",
            "Roll dice",
            "sides",
            "times",
            "loud",
            sides=INTEGER,
            times=INTEGER,
            loud=BOOLEAN,
        )
    ]
    dice = "roll_dice"
    assert await calls("roll dice", tools) == [(dice, {})]
    assert await calls("roll dice with 20 sides", tools) == [(dice, {"sides": 20})]
    assert await calls("roll dice 3 times", tools) == [(dice, {"times": 3})]
    assert await calls("roll dice, 3 times, 20 sides, loud", tools) == [
        (dice, {"sides": 20, "times": 3, "loud": True})
    ]
    assert await calls("roll dice, not loud", tools) == [(dice, {"loud": False})]


@pytest.mark.parametrize("question", ["What's the weather?", "天气怎么样"])
async def test_a_missing_value_is_asked_for_by_name(question: str) -> None:
    text = await answer(question, ENGLISH)
    assert "get_weather" in text
    assert "city" in text


async def test_the_answer_to_its_question_completes_the_call() -> None:
    before = (user("What's the weather?"), ChatMessage("assistant", "Which city?"))
    expected = [("get_weather", {"city": "Chengdu"})]
    assert await calls("Chengdu please", ENGLISH, *before) == expected


async def test_what_is_still_missing_is_asked_for_again() -> None:
    tools = [TOOLS["flight"], *ENGLISH]
    before = (user("Book a flight"), ChatMessage("assistant", "From where?"))
    assert await calls("Paris", tools, *before) == []
    before = (*before, user("Paris"), ChatMessage("assistant", "Where to?"))
    expected = [("book_flight", {"origin": "Paris", "destination": "Rome"})]
    assert await calls("Rome", tools, *before) == expected


async def test_an_option_of_an_earlier_call_is_not_repeated() -> None:
    tools = [spec("order", "Order a product", "quantity", product=STRING, quantity=INTEGER)]
    call = a_call("order", product="lamp", quantity=3)
    before = (
        user("Order 3 lamps"),
        ChatMessage("assistant", "", (call,)),
        ChatMessage("tool", "Done", tool_call_id=call.id),
        ChatMessage("assistant", "Done"),
    )
    assert await calls("Order a pencil", tools, *before) == [("order", {"product": "pencil"})]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("and Shanghai?", ("get_weather", {"city": "Shanghai"})),
        ("那上海呢？", ("get_weather", {"city": "上海"})),
    ],
)
async def test_a_follow_up_goes_on_from_the_last_call(
    question: str, expected: tuple[str, dict[str, Any]]
) -> None:
    call = a_call(city="Oslo")
    before = (
        user("weather in Oslo"),
        ChatMessage("assistant", "", (call,)),
        ChatMessage("tool", "Sunny", tool_call_id=call.id),
        ChatMessage("assistant", "Sunny"),
    )
    assert await calls(question, ENGLISH, *before) == [expected]
    assert await calls("Thanks!", ENGLISH, *before) == []


@pytest.mark.parametrize("question", ["What is the meaning of life?", "你会做什么？", "Hi", ""])
async def test_when_no_tool_fits_it_says_what_there_is(question: str) -> None:
    text = await answer(question, ENGLISH)
    assert all(tool.name in text for tool in ENGLISH)


async def test_without_tools_it_says_what_it_is_and_still_tells_results() -> None:
    assert "demo model" in await answer("What is love?", [])
    assert "演示模型" in await answer("爱是什么？", [])
    assert "no tools" in await answer("weather in Oslo", [])
    assert "Sunny" in await answer("weather in Oslo", [], (a_call(), "Sunny"))


async def test_a_text_result_is_told_as_it_is() -> None:
    text = await answer("weather in Oslo", ENGLISH, (a_call(city="Oslo"), "Sunny, 3°C"))
    assert text == "Sunny, 3°C"


async def test_a_json_object_is_told_line_by_line() -> None:
    content = '{"sky": "clear", "wind": 4, "days": [{"high": 3}], "is_dry": true}'
    text = await answer("weather in Oslo", ENGLISH, (a_call(), content))
    assert text == 'sky: clear\nwind: 4\ndays: [{"high":3}]\nis_dry: true'


@pytest.mark.parametrize(("content", "told"), [("[1, 2]", "[1, 2]"), ("{oops", "{oops")])
async def test_other_json_and_what_only_looks_like_it_is_told_as_it_is(
    content: str, told: str
) -> None:
    assert await answer("weather in Oslo", ENGLISH, (a_call(), content)) == told


@pytest.mark.parametrize(
    ("question", "told"), [("weather in Oslo", "is done"), ("奥斯陆天气", "已完成")]
)
async def test_a_result_without_text_is_said_to_be_done(question: str, told: str) -> None:
    text = await answer(question, ENGLISH, (a_call(), " "))
    assert text.startswith("get_weather") and told in text


async def test_several_results_are_all_told() -> None:
    results = [(ToolCall(f"c{n}", "get_weather", "{}"), f"result {n}") for n in range(3)]
    text = await answer("weather", ENGLISH, *results)
    assert all(f"result {n}" in text for n in range(3))


async def test_a_tool_error_is_said_with_its_reason() -> None:
    text = await answer("weather in Atlantis", ENGLISH, (a_call(city="Atlantis"), "Error: sunk"))
    assert "could not" in text
    assert "sunk" in text


async def test_instructions_of_the_loop_are_not_the_question() -> None:
    instruction = ChatMessage("user", "What time is it in Rome?", is_instruction=True)
    completion = await complete([user("weather in Oslo"), instruction], ENGLISH)
    assert [json.loads(call.arguments) for call in completion.tool_calls] == [{"city": "Oslo"}]


async def test_an_earlier_question_s_results_do_not_answer_this_one() -> None:
    call = a_call(city="Oslo")
    before = (
        user("weather in Oslo"),
        ChatMessage("assistant", "", (call,)),
        ChatMessage("tool", "Sunny", tool_call_id=call.id),
        ChatMessage("assistant", "Sunny"),
    )
    expected = [("get_time", {"city": "Rome"})]
    assert await calls("time in Rome", ENGLISH, *before) == expected


async def test_call_ids_differ_from_turn_to_turn() -> None:
    messages = [user("weather in Oslo and Rome")]
    seen: list[str] = []
    for _ in range(5):
        completion = await complete(messages, ENGLISH)
        seen += [call.id for call in completion.tool_calls]
        results = [ChatMessage("tool", "ok", tool_call_id=c.id) for c in completion.tool_calls]
        wish = ChatMessage("assistant", "", completion.tool_calls)
        messages = [wish, *results, ChatMessage("assistant", "ok"), messages[-1]]
    assert len(seen) == len(set(seen)) == 10


async def test_the_same_messages_get_the_same_reply() -> None:
    messages = [user("weather in Oslo and Rome")]
    assert await complete(messages, ENGLISH) == await complete(messages, ENGLISH)


async def test_a_long_answer_comes_in_a_bounded_number_of_pieces() -> None:
    content = "word " * 50_000
    messages = [
        user("weather in Oslo"),
        ChatMessage("assistant", "", (a_call(),)),
        ChatMessage("tool", content, tool_call_id="call_1"),
    ]
    pieces = [item async for item in OfflineModel().stream(messages, ENGLISH)]
    assert 3 < len(pieces) < 100


async def test_usage_is_estimated() -> None:
    completion = await complete([user("weather in Oslo")], ENGLISH)
    assert completion.usage.prompt_tokens > 0
    assert completion.usage.completion_tokens > 0


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"type": "object", "properties": {"city": True}, "required": ["city"]},
        {"type": "object", "properties": {"city": {"type": ["string", "null"]}}},
        {"properties": {"city": {"$ref": "#/$defs/C"}}, "$defs": {"C": {"enum": ["Oslo", 1]}}},
        {"properties": {"city": {"anyOf": [{"type": "null"}, {"type": "string"}]}}},
        {"properties": {"city": {"type": "array", "items": True}}},
        {"properties": {"city": {"$ref": "#/$defs/C"}}, "$defs": {"C": {"$ref": "#/$defs/C"}}},
        {"properties": {"city": {}}, "minProperties": 3},
        {"properties": {"": {"type": "string"}, "(": {"type": "integer", "minimum": 8}}},
    ],
)
async def test_an_odd_schema_is_no_crash(parameters: dict[str, Any]) -> None:
    tools = [ToolSpec("get_weather", "Weather of a city", parameters)]
    completion = await complete([user("weather in Oslo 7 ( = 3")], tools)
    assert completion.text or completion.tool_calls


async def test_arguments_from_elsewhere_may_be_malformed() -> None:
    text = await answer("weather", ENGLISH, (ToolCall("call_1", "get_weather", "{oops"), "Sunny"))
    assert "Sunny" in text


@pytest.mark.parametrize("pad", [" ", "\n", "!", " for", "“", "a b "])
def test_a_text_that_is_hard_to_search_is_read_at_once(pad: str) -> None:
    text = "note:" + pad * (MAX_READ // len(pad)) + "x"
    question = Question(text[:MAX_READ], set())
    assert question.announced() or question.quoted() == []


def test_small_words_and_marks_at_the_end_of_a_text_are_left_out() -> None:
    [(text, _)] = Question("note: buy milk, please for me, in  .", set()).announced()
    assert text == "buy milk, please for me"
