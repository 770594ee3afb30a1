"""How a database server is set, what it refuses and when it hangs up: clients lose nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import MySQLdb
import pytest

from tests.crash.conftest import Site
from tests.crash.talkers import TURNS, Talker, assert_nothing_was_lost, until_refused
from tests.crash.witness import Witness, assert_promises, read_log, until
from tests.fake_model import FakeModel
from tests.locks import locking_the_log
from tests.managed_site import ManagedSite
from tests.replicas import SITE_USER, make_site, rows, statements
from tests.servers import MariaDB

ODD = 'it\'s "quoted" \\ back\\\\slash\\n %s %% ; -- /* é ﷽ 𝔘 😀 \u0000 | || `tick`'
"""What a server could read in another way than it was meant."""

HOST = "127.0.0.1"

MOST = 20
"""Connections that the server is set to allow."""

TOO_MANY = 1040
"""The number of its refusal of more."""

ODD_MODES = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,ONLY_FULL_GROUP_BY,TRADITIONAL"


@pytest.fixture
def site(own_mariadb: MariaDB, tmp_path: Path, fake_model: FakeModel, runners: ExitStack) -> Site:
    return Site(make_site(own_mariadb.port), tmp_path, fake_model, runners)


@pytest.fixture
def judged_by(own_mariadb: MariaDB) -> str:
    """The database as somebody else sees it."""
    return own_mariadb.url("site")


async def test_a_server_of_other_modes_keeps_every_character(
    site: Site, own_mariadb: MariaDB, judged_by: str
) -> None:
    isolation = "tx_isolation" if own_mariadb.label == "mariadb" else "transaction_isolation"
    statements(
        own_mariadb.port,
        f"SET GLOBAL sql_mode='{ODD_MODES}'",
        f"SET GLOBAL {isolation}='SERIALIZABLE'",
        "SET GLOBAL time_zone='+08:00'",
        "SET GLOBAL autocommit=OFF",
        "SET GLOBAL sql_safe_updates=ON",
    )
    runner = await site.start()
    witness = await Witness.arrive(runner.url)
    await witness.say(ODD, message_id=ODD[:60])
    await witness.until_ended(1)
    (echo,) = [entry for entry in witness.durable if entry["event"] == "user.message"]
    assert echo["content"] == ODD
    assert_promises(judged_by, witness.session_id, witness)
    checked = ManagedSite(site.database_url, site.folder, SECRET_KEY="for tests only")
    found = await asyncio.to_thread(checked.manage, "doctor", expect=None)
    assert "database" in found and "database_session" not in found
    await witness.leave()


async def test_message_ids_that_a_collation_takes_for_the_same_are_different(
    site: Site, judged_by: str
) -> None:
    runner = await site.start()
    witness = await Witness.arrive(runner.url)
    ids = ["resume", "Resume", "résumé", "resume ", "resume😀", "resume🎉", "ﬀ", "ff", "ß", "ss"]
    for number, message_id in enumerate(ids):
        await witness.say(message_id, message_id=message_id)
        await witness.until_ended(number + 1)
    said = read_log(judged_by, witness.session_id)
    kept = [entry["metadata"]["message_id"] for entry in said if entry["event"] == "user.message"]
    assert kept == ids
    await witness.leave()


OF_SITE = f"SELECT id, time FROM information_schema.processlist WHERE user = '{SITE_USER}'"


def ids_of(port: int) -> set[int]:
    """The site's connections."""
    return {int(each["id"]) for each in rows(port, OF_SITE)}


async def test_a_message_after_the_server_closed_idle_connections_is_accepted_at_once(
    site: Site, own_mariadb: MariaDB, judged_by: str
) -> None:
    statements(own_mariadb.port, "SET GLOBAL wait_timeout=1")
    runner = await site.start()
    witness = await Witness.arrive(runner.url)
    await witness.say("hello")
    await witness.until_ended(1)
    before = ids_of(own_mariadb.port)

    def were_closed() -> bool:
        # The connection of the journal is among those that nobody uses.
        idle = rows(own_mariadb.port, f"{OF_SITE} AND time > 1")
        return not idle and not before <= ids_of(own_mariadb.port)

    await until(were_closed)
    await witness.say("hello again")
    await witness.until_ended(2)
    assert not [frame for frame in witness.seen if frame["event"] == "system.error"]
    assert_promises(judged_by, witness.session_id, witness)
    await witness.leave()


@contextmanager
def all_connections_of(port: int) -> Iterator[None]:
    """Nobody else gets a connection; those of the site have been ended."""
    with ExitStack() as held:
        # One for all that is to be done: the server keeps a single one for administrators.
        own = held.enter_context(closing(MySQLdb.connect(host=HOST, port=port, user="root")))
        cursor = own.cursor()
        cursor.execute("CREATE USER hog@'127.0.0.1'")
        cursor.execute(f"SET GLOBAL max_connections={MOST}")
        while True:
            while take_connection(port, held):
                pass
            cursor.execute(OF_SITE)
            if not (found := cursor.fetchall()):
                break
            for id_, _ in found:
                # It may have ended by itself.
                with suppress(MySQLdb.OperationalError):
                    cursor.execute(f"KILL {id_}")
        yield


def take_connection(port: int, held: ExitStack) -> bool:
    try:
        held.enter_context(closing(MySQLdb.connect(host=HOST, port=port, user="hog")))
    except MySQLdb.OperationalError as error:
        assert error.args[0] == TOO_MANY
        return False
    return True


async def test_while_the_server_has_no_connection_left_it_is_said_and_nothing_is_lost(
    site: Site, own_mariadb: MariaDB, judged_by: str
) -> None:
    runner = await site.start()
    talkers = [Talker(await Witness.arrive(runner.url), f"t{i}") for i in range(2)]
    async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
        for talker in talkers:
            tasks.create_task(talker.talk(TURNS))
        await asyncio.gather(*(talker.is_warm.wait() for talker in talkers))
        with ExitStack() as held:
            await asyncio.to_thread(held.enter_context, all_connections_of(own_mariadb.port))
            await until_refused(runner.url)
    assert_nothing_was_lost(judged_by, talkers)
    for talker in talkers:
        await talker.witness.leave()


class Stranger:
    """A transaction of somebody else, which holds rows of sessions."""

    def __init__(self, port: int) -> None:
        self._connection = MySQLdb.connect(host=HOST, port=port, user="root", db="site")
        self._cursor = self._connection.cursor()
        self._cursor.execute("SET innodb_lock_wait_timeout=20")
        self._connection.begin()

    def write_much(self) -> None:
        """The server undoes the transaction that has changed less."""
        values = ",".join(f"('stranger', '{number}', NOW())" for number in range(500))
        self._cursor.execute(f"INSERT INTO django_migrations (app, name, applied) VALUES {values}")

    def lock(self, session_id: str) -> None:
        self._cursor.execute(f"SELECT id FROM agents_session WHERE id='{session_id}' FOR UPDATE")

    def leave(self) -> None:
        self._connection.rollback()
        self._connection.close()


async def test_a_deadlock_costs_no_message_and_nobody_is_told_of_it(
    site: Site, own_mariadb: MariaDB, judged_by: str
) -> None:
    runner = await site.start()
    witnesses = [await Witness.arrive(runner.url) for _ in range(3)]
    gate, first, last = sorted(witnesses, key=lambda witness: witness.session_id)
    port = own_mariadb.port
    doorkeeper, stranger = Stranger(port), Stranger(port)
    doorkeeper.lock(gate.session_id)
    stranger.write_much()
    stranger.lock(last.session_id)
    await gate.say("waits")
    await until(lambda: somebody_waits(port))
    # These two are committed together, when the first is done.
    await first.say("hello")
    await last.say("hello")
    await first.recorder.fence(first.session_id)
    await last.recorder.fence(last.session_id)
    deadlocks = deadlocks_of(port) + 1
    doorkeeper.leave()
    await gate.recorder.until("user.message")
    await until(lambda: somebody_waits(port))
    await asyncio.to_thread(stranger.lock, first.session_id)
    await until(lambda: deadlocks_of(port) == deadlocks)
    stranger.leave()
    for witness in witnesses:
        await witness.until_ended(1)
        assert not [frame for frame in witness.seen if frame["event"] == "system.error"]
        assert_promises(judged_by, witness.session_id, witness)
        await witness.leave()


@pytest.mark.parametrize(
    "table",
    ["agents_event", "agents_run", pytest.param("agents_session", marks=pytest.mark.long)],
)
async def test_somebody_who_locks_the_log_again_and_again_keeps_no_conversation_from_going_on(
    site: Site, own_mariadb: MariaDB, judged_by: str, table: str
) -> None:
    runner = await site.start()
    with locking_the_log(own_mariadb.port, "site", held_s=0.2, table=table):
        for _ in range(2):
            witness = await Witness.arrive(runner.url)
            await witness.say("hello")
            await witness.until_ended(1)
            assert_promises(judged_by, witness.session_id, witness)
            await witness.leave()


def somebody_waits(port: int) -> bool:
    # Not innodb_trx: it is made anew only if nobody has read it for a tenth of a second.
    waiting = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"
    return rows(port, waiting)[0]["value"] != "0"


def deadlocks_of(port: int) -> int:
    counted = "SELECT count FROM information_schema.innodb_metrics WHERE name='lock_deadlocks'"
    return int(rows(port, counted)[0]["count"])
