"""A site goes from one version to the next and back, process by process, and no client notices."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.crash.residents import Resident
from tests.crash.witness import assert_promises, read_log
from tests.managed_site import Command, ManagedSite, managed_site
from tests.nginx import Nginx
from tests.ports import free_port
from tests.recording import TERMINAL, Recorder
from tests.runners import ROOT

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(900)]

CLIENTS = 200
THINKS_S = 2.0
"""A client's longest pause before a message: the site is to be busy, and not out of breath."""

PATIENCE_S = 800.0
NEXT = "999.0.0"

NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv", "var", "node_modules", "__pycache__", ".*_cache", "*.db*", ".env")
)

AGENT = """
import asyncio
from pathlib import Path
import myagent

async def agent(text):
    for _ in range(5):
        yield "…"
        await asyncio.sleep(0.01)
    yield str(Path(myagent.__file__).resolve())

agent.idempotent = True
"""
"""Answers with the SDK that it runs on."""

FIELD = "    upgraded = models.CharField(max_length=8, null=True)\n"

EXPANSION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("agents", "{latest}")]
    operations = [
        migrations.AddField("session", "upgraded", models.CharField(max_length=8, null=True))
    ]
"""


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """A checkout of the version that comes next: its sessions have one column more."""
    tree = tmp_path / "next"
    shutil.copytree(ROOT, tree, symlinks=True, ignore=NOT_COPIED)
    replace(tree / "pyproject.toml", '\nversion = "', f'\nversion = "{NEXT}" # ')
    replace(tree / "agents" / "models.py", "    closed_at =", f"{FIELD}    closed_at =")
    folder = tree / "agents" / "migrations"
    latest = max(path.stem for path in folder.glob("0*.py"))
    (folder / "9000_upgraded.py").write_text(EXPANSION.format(latest=latest))
    return tree


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, file
    file.write_text(text.replace(old, new))


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    quiet = {"MYAGENT_CONNECTIONS_PER_ADDRESS": "0", "MYAGENT_SHUTDOWN_GRACE_S": "20"}
    # Nothing dies here: a busy machine is not to look as if.
    quiet |= {"MYAGENT_LEASE_S": "15", "MYAGENT_RENEW_S": "3"}
    with managed_site(fresh_database_url, tmp_path, **quiet) as site:
        yield site


class Rolling:
    """A supervisor, two servers, two workers, and their clients, who come through nginx if there
    is one.
    """

    def __init__(self, site: ManagedSite, nginx: Nginx | None = None) -> None:
        self.site = site
        self._ports = [free_port(), free_port()]
        self._nginx = nginx
        if nginx is not None:
            nginx.pass_to(self._ports)
            nginx.restart()
        self._supervisor = site.supervise()
        self._servers = [self._serve(port) for port in self._ports]
        file = site.write("sdk.py", AGENT)
        site.register("sdk", file, "--auto-start", "--replicas", "2")
        self._workers = set(site.until_runs("sdk", 2))
        self.residents: list[Resident] = []

    @property
    def urls(self) -> list[str]:
        if self._nginx is not None:
            return [f"{self._nginx.socket_url}services/sdk/"]
        return [f"ws://127.0.0.1:{port}/services/sdk/" for port in self._ports]

    def _serve(self, port: int) -> Command:
        return self.site.serve("--port", str(port), MYAGENT_SUPERVISOR="external")

    async def settle(self) -> None:
        for number in range(CLIENTS):
            home = self.urls if number % 2 else self.urls[::-1]
            self.residents.append(await Resident.begin(str(number), home))

    async def go_on(self) -> None:
        """All take one more turn at least."""
        goals = [each.turns + 2 for each in self.residents]
        pairs = zip(self.residents, goals, strict=True)
        await asyncio.gather(*(each.until_turns(goal) for each, goal in pairs))

    def replace_server(self, number: int) -> None:
        assert self._servers[number].stop() == 0, self._servers[number].log
        self._servers[number] = self._serve(self._ports[number])

    def replace_supervisor(self) -> None:
        assert self._supervisor.stop() == 0, self._supervisor.log
        self._supervisor = self.site.supervise()

    def replace_workers(self) -> None:
        self.site.services("restart", "sdk")
        self._workers = set(self.site.until_runs("sdk", 2, not_as=self._workers))

    def versions(self) -> set[str]:
        rows = self.site.query("SELECT version FROM agents_server WHERE ended_at IS NULL")
        return {version for (version,) in rows}


async def upgrade(rolling: Rolling, tree: Path, *, workers_first: bool) -> None:
    """As docs/operating.md says, or the other way round: each works beside either version."""
    await rolling.go_on()
    rolling.site.tree = tree
    await timed("migrate", partial(rolling.site.manage, "migrate", "--verbosity=0"))
    await rolling.go_on()
    # The present version does not know the new column.
    async with await Recorder.open(rolling.urls[0]) as client:
        await client.ask(await client.create_session(), "before")
    await roll(rolling, workers_first=workers_first)


async def roll(rolling: Rolling, *, workers_first: bool) -> None:
    """Each process in turn becomes one of the site's present tree."""
    steps = [
        *(partial(rolling.replace_server, number) for number in range(2)),
        *(rolling.replace_supervisor, rolling.replace_workers),
    ]
    for step in steps[2:] + steps[:2] if workers_first else steps:
        await timed(getattr(step, "func", step).__name__, step)
        await rolling.go_on()


async def timed(what: str, step: Callable[[], object]) -> None:
    """Says how long it took, for whoever looks (`-s`)."""
    begun = time.monotonic()
    await asyncio.to_thread(step)
    print(f"{what}: {time.monotonic() - begun:.1f} s")


@pytest.mark.both_databases
async def test_an_upgrade_as_documented_and_the_way_back_fail_no_turn_and_lose_no_event(
    site: ManagedSite, next_version: Path, nginx: Nginx
) -> None:
    rolling = await asyncio.to_thread(Rolling, site, nginx)
    async with living(rolling):
        await upgrade(rolling, next_version, workers_first=False)
        assert rolling.versions() == {NEXT}
        await assert_is_next_version(rolling, next_version)
        # Back again: the database stays as it is.
        site.tree = ROOT
        await roll(rolling, workers_first=False)
    await assert_nobody_noticed(rolling)
    assert NEXT not in rolling.versions()


@pytest.mark.both_databases
async def test_workers_may_be_upgraded_before_servers(
    site: ManagedSite, next_version: Path
) -> None:
    rolling = await asyncio.to_thread(Rolling, site)
    async with living(rolling):
        await upgrade(rolling, next_version, workers_first=True)
    await assert_nobody_noticed(rolling)
    assert rolling.versions() == {NEXT}
    await assert_is_next_version(rolling, next_version)


@asynccontextmanager
async def living(rolling: Rolling) -> AsyncIterator[None]:
    """The clients take one turn after the other meanwhile."""
    await rolling.settle()
    dice, is_over = random.Random(7), asyncio.Event()
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for resident in rolling.residents:
            life = resident.live(random.Random(dice.random()), is_over, thinks_s=THINKS_S)
            tasks.create_task(life)
        yield
        is_over.set()


async def assert_nobody_noticed(rolling: Rolling) -> None:
    for resident in rolling.residents:
        session_id = resident.witness.session_id
        log = read_log(rolling.site.database_url, session_id)
        await resident.see_all(log[-1]["seq"])
        assert_promises(rolling.site.database_url, session_id, resident.witness)
        assert_all_answered(resident)
        await resident.witness.leave()
    print(summary(rolling.residents))


def summary(residents: Sequence[Resident]) -> str:
    turns = sum(each.turns for each in residents)
    absences = sorted(absence for each in residents for absence in each.absences_s)
    refusals = Counter(code for each in residents for code in each.refusals)
    return (
        f"{len(residents)} clients took {turns} turns and came back {len(absences)} times, after "
        f"{absences[len(absences) // 2]:.2f} s (the last after {absences[-1]:.1f} s); asked "
        f"again: {dict(refusals)}"
    )


def assert_all_answered(resident: Resident) -> None:
    """By the client's own record."""
    record = resident.witness.durable
    said = [each["metadata"]["message_id"] for each in record if each["event"] == "user.message"]
    assert said == [f"{resident.name}-{turn}" for turn in range(resident.turns)]
    ends = [each["event"] for each in record if each["event"] in TERMINAL]
    assert ends == ["agent.final_answer"] * resident.turns


async def assert_is_next_version(rolling: Rolling, tree: Path) -> None:
    async with await Recorder.open(rolling.urls[0]) as client:
        end = await client.ask(await client.create_session(), "which?")
    assert str(tree) in end["content"]
    assert rolling.site.query("SELECT COUNT(*) FROM agents_session WHERE upgraded IS NULL")
