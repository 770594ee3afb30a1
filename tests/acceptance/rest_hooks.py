"""For the generator of requests: which agent file there is, no schema can tell."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    path = body.get("agent_factory_path") if isinstance(body, dict) else None
    if isinstance(path, str) and 0 < len(path) <= 1024:
        return body | {"agent_factory_path": "ws_weather_agent.py"}
    return body
