"""What the README shows works, typed as it stands there, in both languages."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from myagent.loading import load_agent_file
from tests.runners import Runner

ROOT = Path(__file__).resolve().parent.parent
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
BLOCK = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
URL = "ws://localhost:8080/"


def blocks(page: Path, *kinds: str) -> list[str]:
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [block["text"] for block in found if block["kind"] in kinds]


def file_in(page: Path, name: str) -> str:
    return next(text for text in blocks(page, "python") if text.startswith(f"# {name}\n"))


@pytest.mark.processes
async def test_the_client_of_the_readme_holds_a_conversation(tmp_path: Path) -> None:
    source = file_in(ENGLISH, "client.py")
    assert URL in source
    agent = ROOT / "examples" / "ws_weather_agent.py"
    with Runner(agent, f"sqlite:///{tmp_path}/site.db", tmp_path) as runner:
        client = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            source.replace(URL, runner.url),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            output, _ = await client.communicate()
    said = output.decode().splitlines()
    assert client.returncode == 0
    assert said[0] == "- system.connected Connected to ws_weather_agent."
    assert "6 agent.tool_result Beijing is sunny today: 22°C, 35% humidity." in said
    assert any(line.startswith("9 agent.final_answer") for line in said)


async def test_the_agent_of_the_readme_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    file = tmp_path / "my_agent.py"
    file.write_text(file_in(ENGLISH, "my_agent.py"), encoding="utf-8")
    agent = await load_agent_file(file).create()
    assert agent.name == "dice"


def test_both_languages_show_the_same_code() -> None:
    assert blocks(ENGLISH, "python", "js") == blocks(CHINESE, "python", "js")
