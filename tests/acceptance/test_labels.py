"""Labels of the trace dialect whose conversation can't be continued by who comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from myagent.protocol import CloseCode
from tests import accounts
from tests.managed_site import Command, ManagedSite, managed_site
from tests.trace_client import Frame, watcher

AGENT = '''
async def agent(text):
    """Says who it is."""
    return "NAME says: " + text
'''


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    with managed_site(fresh_database_url, tmp_path) as site:
        yield site


def register(site: ManagedSite, name: str, *options: str) -> None:
    site.register(name, site.write(f"{name}.py", AGENT.replace("NAME", name)), *options)


def start(site: ManagedSite, name: str) -> None:
    register(site, name, "--auto-start")
    site.until_runs(name)


def label(site: ManagedSite, serving: Command) -> str:
    return site.url(serving, "").partition("services/")[0] + "ws/ann"


def answer(end: Frame) -> Any:
    return end["data"]["final_response"]


@pytest.mark.both_databases
async def test_a_label_whose_service_was_removed_begins_another_conversation(
    site: ManagedSite,
) -> None:
    serving = site.serve()
    start(site, "one")
    url = label(site, serving)
    async with watcher(url) as client:
        assert answer(await client.ask("hello")) == "one says: hello"
    await asyncio.to_thread(site.services, "unregister", "one")
    start(site, "other")
    async with watcher(url) as client, watcher(url) as second:
        assert answer(await client.ask("hello")) == "other says: hello"
        assert (await client.ask("again"))["data"]["status"] == "answered"
        assert (await second.ask("from here"))["data"]["status"] == "answered"
        told = [frame["data"]["request"] for frame in second.of("trace_started")]
        assert client.of("run_error") == second.of("run_error") == []
    assert told[-1] == "from here"
    (begun,) = site.query("SELECT COUNT(*) FROM agents_session WHERE service = 'other'")
    assert begun == (1,), "both tabs go on with the same conversation"


async def test_a_token_that_may_not_use_the_labels_service_is_refused_for_good(
    fresh_database_url: str, tmp_path: Path
) -> None:
    with managed_site(fresh_database_url, tmp_path, MYAGENT_AUTH="token") as site:
        serving = site.serve()
        start(site, "one")
        register(site, "other")
        environment = site.environment | {"DJANGO_SETTINGS_MODULE": "myagent_site.settings"}
        people = accounts.make(
            environment, ada={}, bound={"user": "ada", "token": {"services": ["other"]}}
        )
        bearing = {
            name: {"additional_headers": {"Authorization": f"Bearer {made['token']}"}}
            for name, made in people.items()
        }
        url = label(site, serving)
        async with watcher(url, **bearing["ada"]) as client:
            await client.ask("hello")
        async with watcher(url, **bearing["bound"]) as client:
            assert await client.read_to_close() == CloseCode.ORIGIN_NOT_ALLOWED
            assert client.types() == ["run_error"]
        async with watcher(url, **bearing["ada"]) as client:
            await client.until("connection_established")
