"""An agent that leaves a child process behind, and answers with its id."""

import os
import time


async def agent(text):
    child = os.fork()
    if child == 0:
        time.sleep(600)  # noqa: ASYNC251 - no loop runs here
        os._exit(0)
    return str(child)
