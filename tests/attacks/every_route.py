"""Asks for every route that a process has, in every role of a process, as nobody in particular.

A program, `python -m tests.attacks.every_route`: it asks the site's ASGI application, with the
settings of its environment, and prints as JSON what `Answer` says of each role, route and method.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
PEER, SITE = "192.0.2.7", "192.0.2.1"

SAMPLES = {
    "int": "1",
    "str": "x",
    "path": "1",
    "uuid": "01a1fd04-4c41-7c64-a738-270ed833529a",
}
CONVERTER = re.compile(r"<(?:(\w+):)?\w+>")
GROUP = re.compile(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")


def routes_of(patterns: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Each route as it is written, with a path that it stands for."""
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from routes_of(pattern.url_patterns, route)
        else:
            yield route, path_of(route)


def path_of(route: str) -> str:
    path = CONVERTER.sub(lambda found: SAMPLES[found[1] or "str"], GROUP.sub("x", route))
    path = re.sub(r"\(\?:(.*?)\)\?", "", path)  # What may be left out.
    path = re.sub(r"[/\\]*\.?\?|[$^\\]|\\Z", "", path)
    assert re.fullmatch(r"[\w./@-]*", path), (route, path)
    return f"/{path}"


async def ask(application: Any, method: str, path: str) -> dict[str, Any]:
    """The answer: its status, where it leads, its body's beginning, and its headers."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "client": (PEER, 50000),
        "server": (SITE, 8000),
        "headers": [(b"host", SITE.encode()), (b"content-type", b"application/json")],
    }
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    incoming.put_nowait({"type": "http.request", "body": b"{}", "more_body": False})
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, incoming.get, send)
    headers = [(name.decode().lower(), value.decode()) for name, value in sent[0]["headers"]]
    return {"status": sent[0]["status"], "leads_to": dict(headers).get("location", "")} | {
        "headers": headers
    }


def roles() -> dict[str, tuple[Any, str]]:
    """For each role of a process its application and the module of its routes."""
    from pathlib import Path

    from agents.runs.standalone import StandaloneWorker
    from agents.serving import standalone
    from agents.sockets.handshake import OWN_DOOR
    from myagent_site import roles
    from myagent_site.application import application_for
    from services.routing.serving import site_server
    from services.routing.sides import Side, one_sided
    from tests.runners import ROOT

    site = application_for(site_server()[0])
    agent: Path = ROOT / "examples/echo_agent.py"

    async def own_door(scope: Any, receive: Any, send: Any) -> None:
        await site({**scope, OWN_DOOR: "x"}, receive, send)

    return {
        "site": (site, "myagent_site.urls"),
        "pages": (one_sided(site, Side.PAGES), roles.PAGE_SIDE),
        "own port": (own_door, roles.OWN_DOOR_PAGES),
        "single agent": (
            application_for(standalone(StandaloneWorker(agent, "x"))),
            roles.SINGLE_AGENT_PAGES,
        ),
    }


async def main() -> None:
    from django.urls import get_resolver

    found: dict[str, Any] = {}
    for role, (application, urls) in roles().items():
        found[role] = {
            route: {
                "path": path,
                "answers": {method: await ask(application, method, path) for method in METHODS},
            }
            for route, path in routes_of(get_resolver(urls).url_patterns)
        }
    print(json.dumps(found))


if __name__ == "__main__":
    import django

    django.setup()
    asyncio.run(main())
