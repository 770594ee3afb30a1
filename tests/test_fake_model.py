"""The fake model server keeps its own promises."""

import json
from typing import Any

import httpx2
import pytest

from tests.fake_model import fake_model_process, read_script, split_directives


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_directives_are_read_out_of_the_text():
    directives, text = split_directives(
        'Hi [[chunks=2 delay_ms=5]] [[tool f {"a": [[1]]} step=2]][[tool g]] [[status 429 slow '
        "down times=1]] [[echo_history]] there"
    )
    assert text == "Hi there"
    assert [(each.name, each.text, each.options) for each in directives] == [
        ("", "", {"chunks": "2", "delay_ms": "5"}),
        ("tool", 'f {"a": [[1]]}', {"step": "2"}),
        ("tool", "g {}", {}),
        ("status", "429 slow down", {"times": "1"}),
        ("echo_history", "", {}),
    ]


def test_the_last_script_since_the_last_final_answer_counts():
    messages = [
        user("[[hold a]] old"),
        {"role": "assistant", "content": "done"},
        user("[[chunks=1]] new"),
        {"role": "assistant", "content": "", "tool_calls": [{}]},
        {"role": "tool", "content": "result"},
        user("Think about what to do next."),
    ]
    script = read_script(messages)
    assert (script.text, script.step, script.results) == ("new", 2, ["result"])


@pytest.mark.processes
def test_the_process_is_driven_over_http_alone():
    with fake_model_process() as base_url, httpx2.Client() as client:
        control = base_url.removesuffix("/v1")
        body = {"stream": True, "messages": [user("[[hold gate after=2]] [[echo_history]]")]}
        with client.stream("POST", f"{base_url}/chat/completions", json=body) as stream:
            events = (line[6:] for line in stream.iter_lines() if line)
            text = next(events)
            assert client.get(f"{control}/__held?wait=gate").json() == ["gate"]
            assert client.get(f"{control}/__stats").json() == {"active": 1, "disconnects": 0}
            assert client.post(f"{control}/__release/gate").json() == {}
            events = [json.loads(each) for each in [text, *events] if each != "[DONE]"]
        told = "".join(each["choices"][0]["delta"].get("content", "") for each in events)
        assert json.loads(told)["roles"] == ["user"]
        assert client.get(f"{control}/__requests").json() == [body]
        assert client.get(f"{control}/__nothing").status_code == 404


@pytest.mark.processes
def test_a_client_that_leaves_is_counted():
    with fake_model_process() as base_url, httpx2.Client() as client:
        control = base_url.removesuffix("/v1")
        body = {"stream": True, "messages": [user("[[stall]] hello")]}
        with client.stream("POST", f"{base_url}/chat/completions", json=body) as stream:
            assert next(stream.iter_lines())
        stats = client.get(f"{control}/__stats?disconnects=1").json()
        assert stats == {"active": 0, "disconnects": 1}
