"""Servers that implement the OpenAI chat API differently, imitated from their documentation.

Each answers a question about the weather with some reasoning, if it shows any, and a call, over a
stream as its documentation and its users show it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from myagent.models.base import Completion
from myagent.models.chunks import Reply, parse_chunk
from myagent.models.sse import DONE, EventSplitter

ARGUMENTS = '{"city": "Paris"}'


@dataclass(frozen=True)
class Imitation:
    """`fields` and `extra` are what the server wants to be sent back with the call."""

    name: str
    chunks: list[dict[str, Any]]
    reasoning: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    comment: str = ""
    is_done_told: bool = True


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **more.pop("choice", {})}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [choice], **more}  # fmt: skip


def usage(**more: Any) -> dict[str, Any]:
    tokens = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
    return {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": tokens, **more}


def function(name: Any = None, arguments: Any = None) -> dict[str, Any]:
    given = {"name": name, "arguments": arguments}
    return {key: value for key, value in given.items() if value is not None}


def call(index: int | None = 0, *, of: dict[str, Any], **more: Any) -> dict[str, Any]:
    place = {} if index is None else {"index": index}
    return {"tool_calls": [{**place, **more, "function": of}]}


WHOLE = function("get_weather", ARGUMENTS)
HEAD = function("get_weather", "")
USUAL = {"id": "call_1", "type": "function"}
PIECES = [call(of=function(arguments=part)) for part in ('{"city"', ': "Par', 'is"}')]
THOUGHT = {"type": "text", "text": "Hm."}
GEMINI = {"extra_content": {"google": {"thought_signature": "c2ln"}}}

IMITATIONS = [
    Imitation(
        "OpenAI",
        [
            chunk({"role": "assistant", "content": None, **call(of=HEAD, **USUAL)}, usage=None),
            *(chunk(piece, usage=None) for piece in PIECES),
            chunk({}, "tool_calls", usage=None),
            usage(),
        ],
    ),
    Imitation(
        "Azure OpenAI",
        [
            {"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "model": "", "id": ""},
            chunk({"role": "assistant", **call(of=HEAD, **USUAL)},
                  choice={"content_filter_results": {}}),
            *(chunk(piece, choice={"content_filter_results": {}}) for piece in PIECES),
            chunk({}, "tool_calls"),
            usage(),
        ],
    ),
    Imitation(
        "vLLM",
        [
            chunk({"role": "assistant", "content": ""}),
            chunk({"reasoning": "Hm.", "reasoning_content": "Hm."}),
            chunk(call(of=function("get_weather"), id="chatcmpl-tool-1", type="function")),
            *(chunk(piece) for piece in PIECES),
            chunk({"content": ""}, "tool_calls", choice={"stop_reason": None}),
            usage(),
        ],
        reasoning="Hm.",
        fields={"reasoning": "Hm.", "reasoning_content": "Hm."},
    ),
    Imitation(
        "Ollama",
        [
            chunk({"role": "assistant", "content": "", "reasoning": "Hm."}),
            chunk({"role": "assistant", "content": "", **call(of=WHOLE, **USUAL)}),
            chunk({"role": "assistant", "content": ""}, "tool_calls"),
            usage(),
        ],
        reasoning="Hm.",
        fields={"reasoning": "Hm."},
    ),
    Imitation(
        "llama.cpp",
        [
            chunk({"role": "assistant", "content": None}),
            chunk({"reasoning_content": "Hm."}),
            chunk(call(of=function("get_weather", "{"), id="xyz", type="function")),
            *(chunk(call(of=function(arguments=part))) for part in ('"city": ', '"Paris"}')),
            chunk({}, "tool_calls"),
            usage(timings={"predicted_n": 5}),
        ],
        reasoning="Hm.",
        fields={"reasoning_content": "Hm."},
    ),
    Imitation(
        "LM Studio",
        [
            chunk({"role": "assistant", **call(of=HEAD, id="365174485", type="function")}),
            *(chunk(piece, system_fingerprint="m") for piece in PIECES),
            chunk({}, "tool_calls"),
        ],
    ),
    Imitation(
        "DeepSeek",
        [
            chunk({"role": "assistant", "content": None, "reasoning_content": ""}),
            chunk({"content": None, "reasoning_content": "Hm."}),
            chunk({"content": "", "reasoning_content": None}),
            chunk(call(of=HEAD, **USUAL)),
            *(chunk(piece) for piece in PIECES),
            chunk({"content": ""}, "tool_calls", usage=usage()["usage"]),
        ],
        reasoning="Hm.",
        fields={"reasoning_content": "Hm."},
        comment=": keep-alive",
    ),
    Imitation(
        "DeepSeek, without a thought",
        [
            chunk({"role": "assistant", "content": None, "reasoning_content": ""}),
            chunk(call(of=WHOLE, **USUAL)),
            chunk({"content": ""}, "tool_calls", usage=usage()["usage"]),
        ],
        fields={"reasoning_content": ""},
    ),
    Imitation(
        "Qwen",
        [
            chunk({"role": "assistant", "content": None, "reasoning_content": "Hm."}),
            chunk({"content": None, **call(of=function("get_weather", ""), **USUAL)}),
            *(
                chunk(call(of={"name": "", "arguments": part}, id="", type="function"))
                for part in ('{"city": ', '"Paris"}')
            ),
            chunk(call(of={"name": None, "arguments": None}, id=""), "tool_calls"),
            usage(),
        ],
        reasoning="Hm.",
        fields={"reasoning_content": "Hm."},
    ),
    Imitation(
        "Qwen, behind a server without a parser of its thinking",
        [
            chunk({"role": "assistant", "content": "<think>\nHm."}),
            chunk({"content": "\n</think>\n\n"}),
            chunk(call(of=WHOLE, **USUAL)),
            chunk({}, "tool_calls"),
            usage(),
        ],
        reasoning="Hm.",
    ),
    Imitation(
        "Mistral",
        [
            chunk({"role": "assistant", "content": ""}),
            chunk({"content": [{"type": "thinking", "thinking": [THOUGHT]}]}),
            chunk(
                {"content": "", "tool_calls": [{"id": "D681PevKs", "function": WHOLE, "index": 0}]},
                "tool_calls",
                usage=usage()["usage"],
            ),
        ],
        reasoning="Hm.",
    ),
    Imitation(
        "Anthropic",
        [
            chunk({"role": "assistant", "content": ""}),
            chunk(call(of=HEAD, id="toolu_1", type="function")),
            *(chunk(piece) for piece in PIECES),
            chunk({}, "tool_calls"),
            usage(),
        ],
    ),
    Imitation(
        "Gemini",
        [
            chunk({"role": "assistant", **call(of=WHOLE, id="function-call-1", type="function",
                                               **GEMINI)}),
            chunk({"role": "assistant"}, "stop", usage=usage()["usage"]),
        ],
        extra=GEMINI,
    ),
    Imitation(
        "OpenRouter",
        [
            chunk({"role": "assistant", "content": "", "reasoning": part,
                   "reasoning_details": [{"type": "reasoning.text", "text": part, "index": 0}]})
            for part in ("H", "m.")
        ] + [
            chunk({"content": "", "reasoning_details": [
                {"type": "reasoning.text", "signature": "c2ln", "index": 0}]}),
            chunk(call(of=WHOLE, **USUAL)),
            chunk({"content": ""}, "tool_calls", choice={"native_finish_reason": "tool_use"}),
            usage(),
        ],
        reasoning="Hm.",
        fields={
            "reasoning": "Hm.",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "index": 0}
            ],
        },
        comment=": OPENROUTER PROCESSING",
    ),
]  # fmt: skip


def completed(imitation: Imitation) -> Completion:
    events = [f"data: {json.dumps(each)}" for each in imitation.chunks]
    if imitation.comment:
        events.insert(1, imitation.comment)
    stream = "\n\n".join([*events, "data: [DONE]", ""]).encode()
    splitter, reply = EventSplitter(), Reply("here")
    texts = [
        piece
        for at in range(0, len(stream), 7)
        for data in splitter.feed(stream[at : at + 7])
        if data != DONE
        for piece in reply.add(parse_chunk(data))
    ]
    assert reply.is_finished
    completion = reply.completion(with_calls=True)
    assert "".join([*map(str, texts), *map(str, reply.close())]).strip() == completion.text.strip()
    return completion


@pytest.mark.parametrize("imitation", IMITATIONS, ids=lambda imitation: imitation.name)
def test_a_call_and_the_reasoning_with_it_are_understood(imitation: Imitation) -> None:
    completion = completed(imitation)
    assert [(each.name, each.arguments) for each in completion.tool_calls] == [
        ("get_weather", ARGUMENTS)
    ]
    assert completion.text.strip() == ""
    assert completion.reasoning == imitation.reasoning
    kept = completion.kept
    assert (dict(kept.fields) if kept else {}) == imitation.fields
    assert (list(kept.calls) if kept else []) == ([imitation.extra] if imitation.extra else [])
    assert completion.usage.prompt_tokens in (0, 20)
