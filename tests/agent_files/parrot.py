"""An agent that says as many characters as it is told, in pieces that pay no regard to words."""

import asyncio

PIECE = 7


async def agent(text):
    length, _, words = text.partition(" ")
    answer = (words * (int(length) // len(words) + 1))[: int(length)]
    for start in range(0, len(answer), PIECE):
        yield answer[start : start + PIECE]
        await asyncio.sleep(0)


agent.idempotent = True
