"""With `MYAGENT_AUTH=token` no socket tells anything to who does not prove who it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from myagent.protocol import CloseCode
from tests.accounts import environment_of
from tests.databases import fresh_database
from tests.recording import Recorder
from tests.runners import ROOT, Runner
from tests.sites import Site

pytestmark = pytest.mark.processes

CHAT = '{"query": "hi", "token": "myagent_wrong"}'

EXAMPLES = {
    r"^(?:ws/?)?$": ["/", "/ws", "/ws/", "/?token=wrong"],
    r"^services/(?P<service>[^/]+)/?$": ["/services/x/", "/services/echo_agent/"],
    r"^(?:services/(?P<service>[^/]+)/)?ws/chat/(?P<user_id>(?s:.*))$": [
        "/ws/chat/somebody",
        "/services/x/ws/chat/somebody",
        "/ws/chat/somebody?token=wrong",
    ],
    r"^(?:services/(?P<service>[^/]+)/)?ws/traces/?$": ["/ws/traces/", "/services/x/ws/traces/"],
    r"^(?:services/(?P<service>[^/]+)/)?ws/(?!(?:chat|traces)/?$)(?P<label>[^/]+)/?$": [
        "/ws/label",
        "/services/x/ws/label/",
    ],
    r"": ["/nothing", "/admin/", "/api/v1/services"],
}
"""Of each route of sockets some addresses."""

NOTHING_THERE = {"/nothing", "/admin/", "/api/v1/services"}


@pytest.fixture(scope="module", params=["site", "single agent"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("sockets")
    with fresh_database(folder) as database:
        closed = {"MYAGENT_AUTH": "token"}
        serving: Any
        if request.param == "site":
            serving = Site(database, folder, env=closed)
        else:
            key = environment_of(database, folder)["SECRET_KEY"]
            agent = ROOT / "examples/echo_agent.py"
            serving = Runner(agent, database, folder, env=closed | {"SECRET_KEY": key})
        with serving:
            yield f"ws://127.0.0.1:{serving.port}"


def test_every_route_of_sockets_has_examples() -> None:
    from myagent_site.routing import websocket_urlpatterns

    assert {str(each.pattern) for each in websocket_urlpatterns} == set(EXAMPLES)


@pytest.mark.parametrize("path", [path for paths in EXAMPLES.values() for path in paths])
async def test_a_socket_without_a_proof_is_sent_away(url: str, path: str) -> None:
    async with await Recorder.dial(url + path) as client:
        if "/chat/" in path:
            with suppress(ConnectionClosed):  # A wrong token in the address is judged at once.
                await client.send_raw(CHAT)
        close_code = await client.read_to_close()
    allowed = {CloseCode.NOT_AUTHENTICATED}
    if path in NOTHING_THERE or path.startswith("/services/x"):
        # That there is no such service says nothing about those that there are.
        allowed |= {CloseCode.NO_SUCH_SERVICE}
    assert close_code in allowed
    assert len(client.frames) == 1, client.frames
    assert "echo_agent" not in json.dumps(client.frames)
