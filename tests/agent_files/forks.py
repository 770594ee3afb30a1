"""An agent that leaves a child process behind, in its group or not, and answers with its id."""

import os
import time


async def agent(text):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if text == "leave":
            os.setsid()
        os.write(writing, b".")
        time.sleep(600)  # noqa: ASYNC251 - no loop runs here
        os._exit(0)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    return str(child)
