"""An agent without a model, which does what the message's first word names."""

import asyncio
import sys
import time


async def says(text):
    yield f"You said: {text}"


async def counts(text):
    for number in range(int(text)):
        yield f"{number:07} "
        await asyncio.sleep(0)


async def writes(text):
    for _ in range(int(text)):
        yield "龍" * 1_000


async def blocks(text):
    yield "Blocking."
    time.sleep(float(text))  # noqa: ASYNC251 - it is what the tests are about
    yield "Done."


async def ignores(text):
    yield "Working."
    while True:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            continue


async def waits(text):
    yield "Waiting."
    await asyncio.get_running_loop().create_future()


async def raises(text):
    raise RuntimeError(f"a secret, sk-12345, at {__file__}")
    yield


async def exits(text):
    sys.exit(3)
    yield


async def cancels(text):
    raise asyncio.CancelledError
    yield


async def yields_rubbish(text):
    yield object()


DEEDS = {
    deed.__name__: deed
    for deed in (
        says,
        counts,
        writes,
        blocks,
        ignores,
        waits,
        raises,
        exits,
        cancels,
        yields_rubbish,
    )
}


async def agent(text):
    deed, _, rest = text.partition(" ")
    async for piece in DEEDS.get(deed, says)(rest):
        yield piece
