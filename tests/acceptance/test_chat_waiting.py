"""`manage.py chat` at a service that takes nothing; each socket is played by a script."""

from __future__ import annotations

import asyncio

from tests.fake_model_control import FakeModelControl
from tests.myagent.client.scripted_server import Peer, ScriptedServer

from .conftest import Serve
from .typist import PROMPT, Typist, run

STOPPED = "The service does not run."
UNAVAILABLE = "The service takes no new work."


async def refuse_message(peer: Peer) -> str:
    """Refuses the next message; its id."""
    message_id: str = (await peer.hear("user.message"))["metadata"]["message_id"]
    refusal = {"code": "service_unavailable", "message_id": message_id, "retryable": True}
    await peer.say("system.error", content=UNAVAILABLE, metadata=refusal)
    return message_id


async def stopped(peer: Peer) -> None:
    """A socket at the door of a service that does not run."""
    await peer.say("system.connected", metadata={"protocol": 1})
    await peer.say("system.notice", content=STOPPED, metadata={"code": "service_stopped"})
    await peer.hear("user.create_session")
    await peer.refuse("service_unavailable", UNAVAILABLE, retryable=True)
    await peer.until_left()


async def started(peer: Peer) -> None:
    await peer.create()
    await peer.answer(3, await peer.echo(2), "yes")
    await peer.until_left()


# Before there is a conversation.


async def test_a_service_that_does_not_run_says_so_at_once_and_goes_on_once_it_does() -> None:
    async with ScriptedServer(stopped, stopped, stopped, started) as server:
        typist = Typist(server.url)
        with typist.terminal:
            shown = await typist.until(STOPPED, PROMPT)
            assert shown.count(STOPPED) == shown.count(UNAVAILABLE) == 1
            await typist.enter("hello")
            await typist.until("yes", PROMPT)
            assert await typist.leave() == 0


async def test_one_can_leave_before_there_is_a_conversation() -> None:
    for keys in ("\x04", "\x03"):
        async with ScriptedServer(*[stopped] * 50) as server:
            typist = Typist(server.url)
            with typist.terminal:
                await typist.until(STOPPED)
                typist.terminal.press(keys)
                assert await asyncio.to_thread(typist.terminal.wait) == 0
                assert "To continue" not in typist.terminal.text


async def test_a_program_is_told_and_does_not_wait_long() -> None:
    async with ScriptedServer(*[stopped] * 50) as server:
        done = await run(server.url, "--message", "x", "--give-up-after", "1")
    assert (done.returncode, done.stdout) == (3, "")
    first, *_, last = done.stderr.splitlines()
    assert first == STOPPED
    assert "Gave up after 1 seconds." in last
    assert done.stderr.count("Reconnecting") == 1


# Under a conversation.


async def test_a_message_that_is_refused_again_and_again_is_withdrawn_by_ctrl_c() -> None:
    withdrawn = asyncio.Event()

    async def stopping(peer: Peer) -> None:
        await peer.create()
        refused = {await refuse_message(peer) for _ in range(3)}
        assert len(refused) == 1
        withdrawn.set()
        while (message_id := await refuse_message(peer)) in refused:
            pass  # It may have been on its way.
        await peer.say(
            "user.message", 2, metadata={"message_id": message_id, "run_id": "r", "position": 0}
        )
        await peer.answer(3, {"message_id": message_id, "run_id": "r"}, "yes")
        await peer.until_left()

    async with ScriptedServer(stopping) as server:
        typist = Typist(server.url)
        with typist.terminal:
            await typist.until(PROMPT)
            await typist.enter("one")
            await withdrawn.wait()
            typist.terminal.interrupt()
            shown = await typist.until("The message was withdrawn.", PROMPT)
            assert shown.count(UNAVAILABLE) == 1
            await typist.enter("two")
            await typist.until(UNAVAILABLE, "yes", PROMPT)


async def test_ctrl_d_leaves_while_a_message_waits() -> None:
    refused = asyncio.Event()

    async def stopping(peer: Peer) -> None:
        await peer.create()
        while True:
            await refuse_message(peer)
            refused.set()

    async with ScriptedServer(stopping) as server:
        typist = Typist(server.url)
        with typist.terminal:
            await typist.until(PROMPT)
            await typist.enter("one")
            await refused.wait()
            assert await typist.leave() == 0
            assert "To continue" in typist.terminal.text


async def test_a_withdrawn_message_that_was_taken_after_all_is_stopped() -> None:
    async def late(peer: Peer) -> None:
        await peer.create()
        message_id = await refuse_message(peer)
        await peer.hear("user.message")
        refused.set()
        await withdrawn.wait()
        taken = {"message_id": message_id, "run_id": "r", "position": 0}
        await peer.say("user.message", 2, content="one", metadata=taken)
        cancel = await peer.hear("user.cancel")
        assert cancel["metadata"] == {"message_id": message_id}
        await peer.say("agent.interrupted", 3, content="Stopped.", metadata=taken)
        await peer.until_left()

    refused, withdrawn = asyncio.Event(), asyncio.Event()
    async with ScriptedServer(late) as server:
        typist = Typist(server.url)
        with typist.terminal:
            await typist.until(PROMPT)
            await typist.enter("one")
            await refused.wait()
            typist.terminal.interrupt()
            await typist.until("The message was withdrawn.")
            withdrawn.set()
            await typist.until("Stopped.", PROMPT)


async def test_ctrl_d_leaves_while_an_answer_is_written_and_other_keys_wait_for_the_prompt(
    serve: Serve, model: FakeModelControl, nonce: str
) -> None:
    runner = serve("tools.py")
    typist = Typist(runner.url)
    with typist.terminal:
        await typist.until(PROMPT)
        await typist.enter(f"[[hold {nonce} after=4]] held")
        await model.held(nonce)
        await typist.until("Answer", "Ctrl-C stops")
        await typist.enter("typed meanwhile")
        await model.release(nonce)
        await typist.until("Answer to: typed meanwhile", PROMPT)
        await typist.enter(f"[[hold {nonce}2 after=4]] again")
        await model.held(f"{nonce}2")
        await typist.until("Answer", "Ctrl-C stops")
        assert await typist.leave() == 0
    await model.release(f"{nonce}2")


async def test_ctrl_d_at_a_question_leaves(serve: Serve) -> None:
    typist = Typist(serve("tools.py").url)
    with typist.terminal:
        await typist.until(PROMPT)
        await typist.enter('[[tool order {"item": "tea", "amount": 2}]] please')
        await typist.until("Run it?")
        assert await typist.leave() == 0
