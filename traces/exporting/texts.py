"""What was said in a run, in the form of OpenTelemetry's conventions for generative AI. No I/O.

A message is `{"role", "parts"}`: see
https://github.com/open-telemetry/semantic-conventions-genai/tree/main/docs/gen-ai
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from myagent import exact_json

Json = dict[str, Any]


def given(messages: Iterable[Json]) -> str:
    """`gen_ai.input.messages`: what a model was given."""
    return exact_json.dumps([_message(message) for message in messages])


def came(outputs: Mapping[str, Any]) -> str:
    """`gen_ai.output.messages`: its reply, from the outputs of its span."""
    reply = outputs.get("message") or {"role": "assistant"}
    message = _message(reply)
    if reasoning := outputs.get("reasoning"):
        message["parts"].insert(0, {"type": "reasoning", "content": whole(reasoning)})
    message["finish_reason"] = "tool_call" if reply.get("tool_calls") else "stop"
    return exact_json.dumps([message])


def said(role: str, text: str, **more: str) -> str:
    """One message of a run."""
    return exact_json.dumps([{"role": role, "parts": [_text(text)], **more}])


def value(of: Any) -> str:
    """An argument or a result."""
    of = whole(of)
    return of if isinstance(of, str) else exact_json.dumps(of)


def whole(of: Any) -> Any:
    """A text that was too long to be shown whole is its beginning again."""
    if isinstance(of, dict):
        if of.keys() == {"text", "characters"}:
            return f"{of['text']}…"
        return {name: whole(each) for name, each in of.items()}
    return [whole(each) for each in of] if isinstance(of, list) else of


def _message(message: Json) -> Json:
    role, content = message.get("role", ""), whole(message.get("content"))
    if role == "tool":
        part = {"type": "tool_call_response", "id": message.get("tool_call_id")}
        return {"role": role, "parts": [{**part, "response": content}]}
    parts = [_text(content)] if isinstance(content, str) and content else []
    if isinstance(content, list):
        parts = [_part(each) for each in content]
    return {"role": role, "parts": parts + [_call(each) for each in message.get("tool_calls", ())]}


def _text(text: str) -> Json:
    return {"type": "text", "content": text}


def _part(part: Any) -> Json:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return _text(part["text"])
    return {"type": "other", "content": part}


def _call(call: Json) -> Json:
    function = call.get("function") or call
    return {
        "type": "tool_call",
        "id": call.get("id"),
        "name": function.get("name"),
        "arguments": _parsed(whole(function.get("arguments"))),
    }


def _parsed(arguments: Any) -> Any:
    """A model writes them as JSON, if all is well; a hook that redacts leaves any text."""
    try:
        return exact_json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments
