"""With Redis, what one process changes another hears of at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from channels.layers import channel_layers

from agents.runtime.bell import Bell
from services import doorbell
from tests.runners import ROOT
from tests.servers import Redis

PATIENCE_S = 60.0


def register(database_url: str, redis_url: str, var_dir: Path) -> None:
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "MYAGENT_VAR_DIR": str(var_dir),
        "MYAGENT_ENV_FILE": os.devnull,
        "SECRET_KEY": "for tests only",
    }
    command = ["manage.py", "services", "register", "echo", "examples/echo_agent.py"]
    subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, check=True, capture_output=True
    )


async def test_a_command_in_another_process_is_heard_of(
    redis_server: Redis, settings: Any, fresh_database_url: str, tmp_path: Path
) -> None:
    config = {"hosts": [redis_server.url], "prefix": "myagent"}
    backend = "channels_redis.core.RedisChannelLayer"
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": config}}
    channel_layers.backends.clear()
    has_rung = asyncio.Event()
    bell = Bell(doorbell.BELL, has_rung.set)
    bell.start()
    async with asyncio.timeout(PATIENCE_S):
        await has_rung.wait()  # Once, as it begins to listen.
        has_rung.clear()
        await asyncio.to_thread(register, fresh_database_url, redis_server.url, tmp_path)
        await has_rung.wait()
    await bell.stop()
    channel_layers.backends.clear()
