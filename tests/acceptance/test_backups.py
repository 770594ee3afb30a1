"""A backup that was made while people talked is a site with all that they had been told."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.databases import empty_database
from tests.managed_site import Command, ManagedSite, managed_site, until
from tests.recording import Recorder, assert_gapless, assert_one_end_each, durable

pytestmark = pytest.mark.processes

AGENT = """
import asyncio

async def agent(text):
    for number in range(20):
        yield f"{number} "
        await asyncio.sleep(0.005)

agent.idempotent = True
"""
TALKERS = 5
SECRET = "the secret of the service"


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    if fresh_database_url.startswith("mysql") and not (
        shutil.which("mariadb-dump") or shutil.which("mysqldump")
    ):
        if os.environ.get("CI"):
            pytest.fail("mariadb-dump must be installed under CI.")
        pytest.skip("mariadb-dump is not installed")
    with managed_site(fresh_database_url, tmp_path) as site:
        yield site


@pytest.fixture
def other(tmp_path: Path) -> Iterator[ManagedSite]:
    """A site with an empty database, for what was backed up."""
    folder = tmp_path / "other"
    folder.mkdir()
    with ExitStack() as held:
        url = held.enter_context(empty_database(folder))
        # Its tables are there when it is looked through for processes.
        yield ManagedSite(url, folder)


def serve(site: ManagedSite) -> Command:
    serving = site.serve()
    file = site.write("echo.py", AGENT)
    site.register("echo", file, "--auto-start", "--env", f"LLM_X={SECRET}")
    site.until_runs("echo")
    return serving


@pytest.mark.both_databases
async def test_conversations_under_way_go_on_at_a_site_made_of_the_backup(
    site: ManagedSite, other: ManagedSite, tmp_path: Path
) -> None:
    serving = await asyncio.to_thread(serve, site)
    backup, done = tmp_path / "backup", asyncio.Event()
    talked = {each: asyncio.Event() for each in range(TALKERS)}
    sessions: dict[str, Recorder] = {}

    async def talk(number: int) -> None:
        async with await Recorder.open(site.url(serving, "echo")) as client:
            session = await client.create_session()
            sessions[session] = client
            while not done.is_set():
                await client.ask(session, "talk")
                talked[number].set()

    async with asyncio.TaskGroup() as group:
        for number in range(TALKERS):
            group.create_task(talk(number))
        for each in talked.values():
            await each.wait()
        acknowledged = {
            session: durable(client.frames)[-1]["seq"] for session, client in sessions.items()
        }
        await asyncio.to_thread(site.manage, "backup", str(backup))
        done.set()
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    await asyncio.to_thread(serving.stop)

    try:
        await asyncio.to_thread(other.manage, "restore", str(backup))
        again = await asyncio.to_thread(other.serve)
        await asyncio.to_thread(other.until_runs, "echo")
        for session, client in sessions.items():
            async with await Recorder.open(other.url(again, "echo")) as reader:
                await reader.reconnect(session)
                # After it nothing of the session is under way any more.
                await reader.ask(session, "and now?")
                told = durable(reader.frames, session)
            assert_gapless(told)
            assert_one_end_each(told)
            assert len(told) > acknowledged[session]
            first = {frame["seq"]: frame for frame in durable(client.frames, session)}
            for frame in told[: acknowledged[session]]:
                assert as_said(frame) == as_said(first[frame["seq"]])
    finally:
        await asyncio.to_thread(other.close)


def as_said(frame: dict[str, object]) -> tuple[object, ...]:
    return frame["seq"], frame["event"], frame["content"], frame.get("run_id")


@pytest.mark.both_databases
def test_a_backup_is_no_half_transaction_and_of_nobodys_processes(
    site: ManagedSite, other: ManagedSite, tmp_path: Path
) -> None:
    serving = serve(site)
    workers = site.until_runs("echo")
    for _ in range(3):
        site.ask(site.url(serving, "echo"), "talk")
    backup = tmp_path / "backup"
    site.manage("backup", str(backup))
    try:
        other.manage("restore", str(backup))
        counted = other.query(
            "SELECT s.last_seq, (SELECT COUNT(*) FROM agents_event e WHERE e.session_id = s.id) "
            "FROM agents_session s"
        )
        assert counted
        assert all(last == count for last, count in counted)
        alive = "SELECT COUNT(*) FROM services_instance WHERE live_slot IS NOT NULL"
        assert other.query(alive) == [(0,)]
        assert other.query("SELECT COUNT(*) FROM services_supervisor") == [(0,)]
        again = other.serve()
        # By its rows: it knows the ids of the other site's workers as well.
        (own,) = until(lambda: [one for one in other.instances("echo") if one["pid"]])
        assert own["pid"] not in workers
        assert site.until_runs("echo") == workers
        again.stop()
        assert site.until_runs("echo") == workers
    finally:
        other.close()


@pytest.mark.both_databases(when_long=True)
def test_nothing_is_replaced_by_a_backup_or_by_a_restored_one(
    site: ManagedSite, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    site.manage("backup", str(backup))
    before = backup.read_bytes()
    assert "exists" in site.manage("backup", str(backup), expect=1)
    assert backup.read_bytes() == before
    said = site.manage("restore", str(backup), expect=1)
    assert "exists: stop the site" in said or "has tables" in said
    (tmp_path / "letter").write_text("Dear backup")
    assert "no backup" in site.manage("restore", str(tmp_path / "letter"), expect=1)
    assert "can't be read" in site.manage("restore", str(tmp_path / "nothing"), expect=1)
    assert "can't be written" in site.manage("backup", str(tmp_path / "no" / "where"), expect=1)


@pytest.mark.both_databases(when_long=True)
def test_a_backup_of_a_newer_version_is_refused(
    site: ManagedSite, other: ManagedSite, tmp_path: Path
) -> None:
    site.execute(
        "INSERT INTO django_migrations (app, name, applied) "
        "VALUES ('agents', '9999_future', '2040-01-01 00:00:00')"
    )
    site.manage("backup", str(tmp_path / "backup"))
    said = other.manage("restore", str(tmp_path / "backup"), expect=1)
    assert "newer version (agents.9999_future)" in said


def test_a_password_is_on_no_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("MySQLdb")
    seen = tmp_path / "seen"
    program = tmp_path / "mariadb-dump"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {seen}\n'
        'case "$1" in --defaults-file=*) f=${1#*=}; stat -c %a "$f"; cat "$f";; esac'
        f" >> {seen}\n"
        "echo '-- Dump completed'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    secret = 'p"a\\ss#word'
    url = "mysql://me:p%22a%5Css%23word@127.0.0.1:1/site"
    ManagedSite(url, tmp_path).manage("backup", str(tmp_path / "backup"))
    lines = seen.read_text().splitlines()
    assert not any(secret in line for line in lines if line.startswith("--"))
    assert 'password="p\\"a\\\\ss#word"' in lines
    assert "600" in lines
