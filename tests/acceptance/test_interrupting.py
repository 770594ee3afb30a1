"""Messages that interrupt the current run: each run starts once, whatever ends at that moment."""

from __future__ import annotations

from tests.recording import Recorder, assert_gapless, assert_one_end_each, durable

from .conftest import Serve

TIMES = 30


async def test_a_run_that_follows_an_interrupted_one_starts_once(serve: Serve) -> None:
    runner = serve("patient.py")
    async with await Recorder.open(runner.url) as client:
        for _ in range(TIMES):
            session = await client.create_session()
            await client.say(session, "wait")
            await client.until("agent.tool_call")
            await client.say(session, "count", on_busy="interrupt")
            await client.until("agent.final_answer")
            log = durable(client.frames, session)
            assert_gapless(log)
            assert_one_end_each(log)
            steps = [f["metadata"]["step"] for f in log if f["event"] == "agent.thinking"]
            assert steps == [1, 1, 2]
