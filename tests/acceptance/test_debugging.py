"""`--debug` shows what happens; without it no message text is logged."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.fake_model_control import FakeModelControl
from tests.recording import Recorder
from tests.runners import ROOT
from tests.terminals import Terminal

from .conftest import AGENT_FILES, Serve

KEY = "sk-nobody-may-read-this"
CALL = '[[tool lookup {"word": "dragon"}]] what is it? '


def events(lines: list[str]) -> dict[str, dict[str, Any]]:
    """The events in the log by name, the last of each; the agent's own output is ignored."""
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return {str(each["event"]): each for each in found}


async def talk(url: str, text: str) -> None:
    async with await Recorder.open(url) as recorder:
        await recorder.say(await recorder.create_session(), text)
        await recorder.until("agent.final_answer")


async def test_debug_shows_what_happens_and_no_secret(
    serve: Serve, model: FakeModelControl
) -> None:
    runner = serve("tools.py", "--debug", env={"OPENAI_API_KEY": KEY})
    await talk(runner.url, CALL + "y" * 5000)
    assert runner.stop() == 0
    found = events(runner.log)
    assert found["connected"]["address"] == "127.0.0.1"
    assert found["disconnected"]["connection_id"] == found["connected"]["connection_id"]
    assert found["received"]["what"] == "user.message"
    accepted = found["message_accepted"]
    assert accepted["text"].startswith(CALL)
    assert len(accepted["text"]) < 300
    assert found["run_begins"]["run_id"] == found["run_ended"]["run_id"] == accepted["run_id"]
    assert found["run_ended"]["status"] == "answered"
    answered = found["model_answered"]
    assert {"duration_ms", "first_token_ms", "prompt_tokens", "completion_tokens"} <= set(answered)
    assert found["tool_called"]["args"] == "{'word': 'dragon'}"
    assert (found["tool_finished"]["tool"], found["tool_finished"]["status"]) == (
        "lookup",
        "success",
    )
    assert KEY not in "".join(runner.log)


async def test_a_log_that_is_not_for_debugging_holds_nobody_s_words(serve: Serve) -> None:
    runner = serve("tools.py")
    await talk(runner.url, "the secret of the house")
    assert runner.stop() == 0
    said = "".join(runner.log)
    assert "the secret of the house" not in said
    assert not events(runner.log).keys() & {"connected", "message_accepted", "model_answered"}
    assert "Loaded " in said and "Tools: " in said
    assert "🔍" not in said


def test_a_terminal_is_greeted_in_three_marked_lines(tmp_path: Path) -> None:
    command = [sys.executable, "manage.py", "runagent", str(AGENT_FILES / "parrot.py"), "--port=0"]
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'site.db'}",
        "MYAGENT_VAR_DIR": str(tmp_path),
        "MYAGENT_ENV_FILE": os.devnull,
        "SECRET_KEY": "for tests only",
    }
    with Terminal(command, ROOT, environment) as terminal:
        terminal.until("🔍 Loaded ", "✅ ", "🚀 parrot is ready at ws://", "(chat page: http://")
        terminal.interrupt()
        assert terminal.wait() == 0
