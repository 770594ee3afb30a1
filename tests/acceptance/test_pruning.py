"""Old conversations are removed beside a server that goes on with others."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.managed_site import managed_site
from tests.recording import Recorder, assert_gapless, assert_one_end_each

AGENT = '''
import asyncio
from pathlib import Path

async def agent(text):
    """Answers once the file that is named is there."""
    while not Path(text).exists():
        await asyncio.sleep(0.01)
    yield "done"
'''

LONG_AGO = "2020-01-01 00:00:00"


async def test_pruning_takes_what_is_at_rest_and_nothing_of_a_living_server(
    fresh_database_url: str, tmp_path: Path
) -> None:
    gate, there = tmp_path / "gate", tmp_path / "there"
    there.touch()
    with managed_site(fresh_database_url, tmp_path) as site:
        serving = site.serve()
        site.register("held", site.write("held.py", AGENT), "--auto-start")
        site.until_runs("held")
        url = site.url(serving, "held")
        async with await Recorder.open(url) as before:
            left = await before.create_session()
            await before.ask(left, str(there))
        serving.stop()
        serving = site.serve()
        url = site.url(serving, "held")
        async with await Recorder.open(url) as client, await Recorder.open(url) as other:
            running, idle = await client.create_session(), await other.create_session()
            await client.say(running, str(gate))
            await client.until("user.message")
            await other.ask(idle, str(there))
            site.execute(f"UPDATE agents_session SET updated_at = '{LONG_AGO}'")
            prune = ("sessions", "prune", "--older-than", "30d")
            said = await asyncio.to_thread(site.manage, *prune, "--dry-run")
            assert "would be removed: 1." in said
            assert "Removed conversations: 1." in await asyncio.to_thread(site.manage, *prune)
            listed = json.loads(await asyncio.to_thread(site.manage, "sessions", "list", "--json"))
            assert {each["session_id"] for each in listed} == {running, idle}
            gate.touch()
            await client.until("agent.final_answer")
            await other.ask(idle, str(there))
            for recorder in (client, other):
                assert_gapless(recorder.frames)
                assert_one_end_each(recorder.frames)
            await client.send("user.reconnect", left, metadata={"last_seq": 0})
            await client.error("unknown_session")
