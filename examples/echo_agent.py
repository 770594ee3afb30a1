"""The smallest agent: it repeats what it is told, with no model at all.

Run it with: scripts/server examples/echo_agent.py
"""


async def agent(text):
    yield f"You said: {text}"


agent.examples = ["Hello!", "你好！"]
agent.idempotent = True  # saying it again does no harm, so a run that was cut off starts again
