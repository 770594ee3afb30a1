"""Clients that name no service, at a real server: the agents' own answers tell who got them."""

from __future__ import annotations

import asyncio
import json
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import requests
from websockets.asyncio.client import connect
from websockets.sync.client import connect as dial

from tests.managed_site import Command, ManagedSite, managed_site, until
from tests.recording import PATIENCE_S, Frame, Recorder

pytestmark = pytest.mark.processes

NAMES = ("a", "b", "c")

AGENT = """
async def agent(text):
    yield "NAME"
"""

FOLLOWS_S = 10.0
"""Ten times what is promised."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedSite]:
    folder = tmp_path_factory.mktemp("routing")
    with managed_site(f"sqlite:///{folder / 'site.db'}", folder) as site:
        yield site


@pytest.fixture(scope="module")
def at_first(site: ManagedSite) -> tuple[Command, Frame]:
    """A server, and what it tells a client while there are no services."""
    serving = site.serve()
    with dial(site.url(serving, "").removesuffix("services//")) as socket:
        socket.send(json.dumps({"event": "user.create_session"}))
        while (frame := json.loads(socket.recv(PATIENCE_S)))["event"] == "system.connected":
            pass
    return serving, frame


@pytest.fixture(scope="module")
def serving(site: ManagedSite, at_first: tuple[Command, Frame]) -> Command:
    """A server with three services running, of which `c` is for important clients."""
    for name in NAMES:
        file = site.write(f"{name}.py", AGENT.replace("NAME", name))
        tags = ("--tags", "premium") if name == "c" else ()
        site.register(name, file, "--no-wait", "--auto-start", *tags)
    for name in NAMES:
        site.until_runs(name)
    return at_first[0]


@pytest.fixture
def rules(site: ManagedSite, serving: Command) -> Iterator[Rules]:
    rules = Rules(_address(site, serving))
    yield rules
    rules.clear()
    # The next test's rules must not be mistaken for these.
    until(rules.are_gone)


def _address(site: ManagedSite, serving: Command) -> str:
    return site.url(serving, "").removesuffix("/services//").replace("ws", "http", 1)


class Admin:
    """Somebody who is logged in to the site's admin, with a browser's cookies."""

    def __init__(self, url: str, password: str) -> None:
        self._base = f"{url}/admin/"
        self._browser = requests.Session()
        self._post("login/", username="admin", password=password, next="/admin/")

    def change_rule(self, rule: dict[str, Any], **fields: str) -> None:
        """Sends the form of the rule's page, as a person's browser does."""
        shown = {
            name: str(rule[name]) for name in ("name", "priority", "weight", "target_strategy")
        }
        page = f"services/routingrule/{rule['rule_id']}/change/"
        answer = self._post(page, **shown, enabled="on", **fields)
        assert "was changed successfully" in answer.text

    def _post(self, page: str, **fields: str) -> requests.Response:
        self._browser.get(self._base + page, timeout=PATIENCE_S)
        form = {"csrfmiddlewaretoken": self._browser.cookies["myagent_csrf"], **fields}
        answer = self._browser.post(self._base + page, data=form, timeout=PATIENCE_S)
        answer.raise_for_status()
        return answer


class Rules:
    """The table of rules, over REST, and what clients get."""

    def __init__(self, url: str) -> None:
        self.api = f"{url}/api/v1"
        self.door = f"{url.replace('http', 'ws', 1)}/"

    def add(self, name: str, *conditions: tuple[str, str, Any], **fields: Any) -> None:
        given = [
            dict(zip(("field", "operator", "value"), each, strict=True)) for each in conditions
        ]
        self._ask("POST", "routing/rules", {"name": name, "conditions": given} | fields)

    def find(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._ask("GET", f"routing/rules/{name}", None)
        return found

    def clear(self) -> None:
        for rule in self._ask("GET", "routing/rules", None)["items"]:
            self._ask("DELETE", f"routing/rules/{rule['rule_id']}", None)

    def are_gone(self) -> bool:
        """Whether the server knows that there are none."""
        with dial(self.door) as socket:
            socket.send(json.dumps({"event": "user.create_session"}))
            while True:
                frame = json.loads(socket.recv(PATIENCE_S))
                if frame["event"] in ("agent.session_created", "system.error"):
                    return bool(frame["event"] == "system.error")

    def limit(self, service: str, max_sessions: int | None) -> None:
        """Sets how many sessions a service may have at once."""
        self._ask("PATCH", f"services/{service}", {"max_sessions": max_sessions})

    def _ask(self, method: str, path: str, body: Any) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.api}/{path}", content, headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.loads(answer.read() or b"null")

    async def served(self, *, metadata: Any = None, query: str = "", **options: Any) -> str:
        """The service that a new client gets, by its own session; '' if it is refused."""
        async with await Recorder.open(self.door + query, **options) as client:
            await client.send("user.create_session", metadata=metadata or {})
            created = await client.until("agent.session_created", "system.error")
            service: str = created["metadata"].get("service", "")
            return service

    async def until_served_by(self, name: str, **options: Any) -> None:
        """Returns once the server follows the rules."""
        async with asyncio.timeout(FOLLOWS_S):
            while await self.served(**options) != name:
                pass


def test_without_a_running_service_there_is_none_to_be_routed_to(
    at_first: tuple[Command, Frame],
) -> None:
    _, frame = at_first
    assert (frame["event"], frame["metadata"]["code"]) == ("system.error", "no_service")
    assert frame["content"] == "No available services for routing."


async def test_clients_are_sent_by_language_by_user_agent_and_by_turns(rules: Rules) -> None:
    rules.add("zh", ("header.accept-language", "starts_with", "zh"), target_services=["b"])
    rules.add("vip", ("user_agent", "contains", "VIP"), priority=1, target_tags=["premium"])
    speaks_chinese: dict[str, Any] = {"additional_headers": {"Accept-Language": "zh-CN,zh;q=0.9"}}
    await rules.until_served_by("c", user_agent_header="VIP reader")
    rules.add("others", priority=200)
    await rules.until_served_by("a")
    for _ in range(3):
        assert await rules.served(**speaks_chinese) == "b"
        assert await rules.served(user_agent_header="VIP reader", **speaks_chinese) == "c"
    turns = Counter([await rules.served() for _ in range(30)])
    assert turns == {"a": 10, "b": 10, "c": 10}


async def test_what_a_client_sends_to_begin_with_counts_as_well(rules: Rules) -> None:
    rules.add("plan", ("metadata.client.plan", "equals", "gold"), target_services=["c"])
    rules.add("others", priority=200, target_services=["a"])
    rules.add("asked", ("query.region", "equals", "eu"), target_services=["b"])
    await rules.until_served_by("b", query="?region=eu")
    assert await rules.served(metadata={"client": {"plan": "gold"}}) == "c"
    assert await rules.served() == "a"


async def test_a_service_that_is_named_is_not_chosen_by_rules(rules: Rules) -> None:
    rules.add("all", target_services=["a"])
    await rules.until_served_by("a")
    assert await rules.served(metadata={"service": "b"}) == "b"
    assert await rules.served(query="?service=b") == "b"
    assert await rules.served(query="services/b/") == "b"


async def test_the_chat_dialect_is_routed_alike(rules: Rules) -> None:
    rules.add("all", target_services=["a"])
    await rules.until_served_by("a")
    for query, name in (("", "a"), ("?service=b", "b")):
        async with connect(f"{rules.door}ws/chat/ada{query}") as socket:
            await socket.send(json.dumps({"query": "who?"}))
            said = ""
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    frame = json.loads(await socket.recv())
                    assert frame["type"] != "error", frame
                    if frame["type"] == "chunk":
                        said += frame["content"]
                        if frame["is_final"]:
                            break
        assert said == name


async def test_a_full_service_is_passed_over(rules: Rules) -> None:
    rules.add("all", target_strategy="manual", target_services=["a", "b"])
    rules.limit("a", 1)
    try:
        async with await Recorder.open(rules.door) as first:
            async with asyncio.timeout(FOLLOWS_S):
                while True:
                    await first.send("user.create_session")
                    created = await first.until("agent.session_created", "system.error")
                    if created["metadata"].get("service") == "b":
                        break
            assert await rules.served() == "b"
        # Its client has left.
        await rules.until_served_by("a")
    finally:
        rules.limit("a", None)


async def test_without_rules_a_client_is_told_which_services_it_can_name(rules: Rules) -> None:
    rules.add("all", target_services=["a"])
    await rules.until_served_by("a")
    rules.clear()
    async with asyncio.timeout(FOLLOWS_S):
        while True:
            async with await Recorder.open(rules.door) as client:
                await client.send("user.create_session")
                frame = await client.until("agent.session_created", "system.error")
            if frame["event"] == "system.error":
                break
    assert frame["metadata"]["code"] == "no_service"
    assert frame["content"] == "Say which service you mean. There are: a, b, c."
    assert await rules.served(metadata={"tags": ["premium"]}) == "c"


async def test_clients_of_another_server_count_for_the_fewest_connections(
    site: ManagedSite, rules: Rules
) -> None:
    rules.add("all", target_strategy="least_connections", target_services=["a", "b"])
    second = Rules(_address(site, site.serve()))
    async with AsyncExitStack() as stack:

        async def served(at: Rules, **metadata: str) -> str:
            """The service of a client that stays."""
            client = await stack.enter_async_context(await Recorder.open(at.door))
            await client.send("user.create_session", metadata=metadata)
            created = await client.until("agent.session_created")
            service: str = created["metadata"]["service"]
            return service

        for _ in range(20):
            await served(second, service="a")
        connected = Counter(a=20)
        async with asyncio.timeout(FOLLOWS_S):
            # The first server learns of them little by little: of others it gives `a` every second.
            while connected["a"] > connected["b"] + 1:
                connected[await served(rules)] += 1
        connected.update([await served(rules) for _ in range(20)])
    assert abs(connected["a"] - connected["b"]) <= 2


async def test_the_admin_changes_rules_while_200_clients_connect_and_nobody_gets_an_error(
    site: ManagedSite, serving: Command, rules: Rules
) -> None:
    rules.add("all", target_services=["a"])
    await rules.until_served_by("a")
    password = re.search(r"password (\S+)", serving.log)
    assert password
    admin = await asyncio.to_thread(Admin, _address(site, serving), password[1])
    served: list[tuple[float, str]] = []
    half = asyncio.Event()

    async def connect_some(count: int) -> None:
        for _ in range(count):
            began = time.monotonic()
            served.append((began, await rules.served()))
            if len(served) >= 100:
                half.set()

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(connect_some(10))
        await half.wait()
        await asyncio.to_thread(admin.change_rule, rules.find("all"), target_services="b")
        changed = time.monotonic()
    await rules.until_served_by("b")
    assert len(served) == 200
    assert {name for _, name in served} <= {"a", "b"}
    assert {name for began, name in served if began < changed} >= {"a"}
    late = [name for began, name in served if began > changed + FOLLOWS_S]
    assert set(late) <= {"b"}
    assert {await rules.served() for _ in range(10)} == {"b"}
