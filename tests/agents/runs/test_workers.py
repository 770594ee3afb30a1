"""Which worker a run goes to, and how long it waits for one."""

from __future__ import annotations

import asyncio
from typing import Any

from agents.runs.link import Link
from agents.runs.workers import Pool


class Run:
    """A `Placeable` that writes down what becomes of it."""

    def __init__(self, *, is_suspect: bool = False, affinity: str = "") -> None:
        self.is_suspect = is_suspect
        self.affinity = affinity
        self.link: Any = None
        self.is_unplaced = asyncio.Event()
        self.error: Exception | None = None

    def on_placed(self, link: Link) -> None:
        self.link = link
        link.take(self)  # type: ignore[attr-defined]

    def on_unplaced(self, why: str) -> None:
        self.is_unplaced.set()

    def on_broken(self, error: Exception) -> None:
        self.error = error


class Clumsy(Run):
    """Raises whatever becomes of it."""

    def on_placed(self, link: Link) -> None:
        raise RuntimeError("placed")

    def on_unplaced(self, why: str) -> None:
        raise RuntimeError("unplaced")


class Worker:
    """A link to nobody."""

    agent = None
    pid = 1
    silent_for_s = 0.0

    def __init__(self, instance_id: str = "") -> None:
        self.instance_id = instance_id
        self.runs: list[Run] = []
        self.is_draining = self.is_closed = False
        self.on_closed: Any = None

    @property
    def running(self) -> int:
        return len(self.runs)

    @property
    def has_suspect(self) -> bool:
        return any(run.is_suspect for run in self.runs)

    def take(self, run: Run) -> None:
        self.runs.append(run)

    def end(self) -> None:
        self.is_closed = True
        self.on_closed(self)


def pool_of(*workers: Worker) -> Pool:
    pool = Pool("service")
    for worker in workers:
        pool.add(worker)  # type: ignore[arg-type]
    return pool


def placed(pool: Pool, run: Run, preferred: Worker | None = None) -> Any:
    pool.place(run, preferred)  # type: ignore[arg-type]
    return run.link


async def test_a_run_goes_to_the_worker_that_has_the_fewest() -> None:
    one, other = Worker(), Worker()
    pool = pool_of(one, other)
    chosen = [placed(pool, Run()) for _ in range(4)]
    assert chosen.count(one) == chosen.count(other) == 2


async def test_workers_that_have_as_many_take_turns() -> None:
    workers = [Worker() for _ in range(3)]
    pool, chosen = pool_of(*workers), []
    for _ in range(9):
        run = Run()
        chosen.append(placed(pool, run))
        run.link.runs.remove(run)
    assert all(chosen.count(worker) == 3 for worker in workers)


async def test_a_worker_that_ends_moves_only_its_own_clients() -> None:
    workers = [Worker(f"instance-{number}") for number in range(5)]
    pool, clients = pool_of(*workers), [f"192.0.2.{number}" for number in range(200)]
    before = {client: placed(pool, Run(affinity=client)) for client in clients}
    again = {client: placed(pool, Run(affinity=client)) for client in clients}
    assert again == before and set(before.values()) == set(workers)
    gone = workers[2]
    gone.end()
    after = {client: placed(pool, Run(affinity=client)) for client in clients}
    moved = {client for client in clients if after[client] is not before[client]}
    assert moved == {client for client in clients if before[client] is gone}


async def test_a_session_stays_with_its_worker_while_that_lives() -> None:
    one, other = Worker(), Worker()
    pool = pool_of(one, other)
    for _ in range(3):
        assert placed(pool, Run(), other) is other
    other.end()
    assert placed(pool, Run(), other) is one


async def test_a_worker_that_drains_gets_no_more_runs() -> None:
    one, other = Worker(), Worker()
    pool = pool_of(one, other)
    other.is_draining = True
    assert placed(pool, Run(), other) is one
    one.is_draining = True
    assert placed(pool, Run()) is None
    assert not pool.has_worker


async def test_runs_that_wait_are_started_in_their_order_by_the_next_worker() -> None:
    pool = pool_of()
    runs = [Run() for _ in range(3)]
    for run in runs:
        assert placed(pool, run) is None
    pool.withdraw(runs[1])
    worker = Worker()
    pool.add(worker)  # type: ignore[arg-type]
    assert worker.runs == [runs[0], runs[2]]


async def test_runs_that_may_kill_workers_never_share_one() -> None:
    one, other = Worker(), Worker()
    pool = pool_of(one, other)
    innocent = [placed(pool, Run()) for _ in range(4)]
    suspects = [Run(is_suspect=True) for _ in range(3)]
    chosen = [placed(pool, run) for run in suspects]
    assert set(chosen[:2]) == {one, other} and chosen[2] is None
    assert all(innocent), "the others are not held up"
    one.runs.remove(next(run for run in one.runs if run.is_suspect))
    pool.note_room()
    assert suspects[2].link is one


async def test_a_run_waits_only_so_long_for_a_worker(settings: Any) -> None:
    settings.MYAGENT_WORKER_WAIT_S = 0.01
    pool, run = pool_of(), Run()
    placed(pool, run)
    await run.is_unplaced.wait()
    pool.add(Worker())  # type: ignore[arg-type]
    assert run.link is None


async def test_a_worker_that_comes_ends_the_waiting(settings: Any) -> None:
    settings.MYAGENT_WORKER_WAIT_S = 0.01
    pool, run, late = pool_of(), Run(), Run()
    placed(pool, run)
    worker = Worker()
    pool.add(worker)  # type: ignore[arg-type]
    worker.is_draining = True
    placed(pool, late)
    await late.is_unplaced.wait()
    assert run.link is worker and not run.is_unplaced.is_set()


async def test_where_no_worker_will_come_no_run_waits_until_one_is_expected_again() -> None:
    pool, run, late, later = pool_of(), Run(), Run(), Run()
    placed(pool, run)
    pool.give_up("stopped")
    assert run.is_unplaced.is_set()
    placed(pool, late)
    await late.is_unplaced.wait()
    pool.expect()
    placed(pool, later)
    worker = Worker()
    pool.add(worker)  # type: ignore[arg-type]
    assert worker.runs == [later]


async def test_a_run_waits_in_one_place_only() -> None:
    pool, run = pool_of(), Run()
    placed(pool, run)
    placed(pool, run)
    pool.withdraw(run)
    worker = Worker()
    pool.add(worker)  # type: ignore[arg-type]
    assert worker.runs == []


async def test_a_worker_that_does_not_answer_is_the_last_choice() -> None:
    one, other = Worker(), Worker()
    pool = pool_of(one, other)
    one.silent_for_s = 5.0
    assert [placed(pool, Run()) for _ in range(3)] == [other] * 3
    other.end()
    assert placed(pool, Run()) is one


async def test_one_run_that_fails_when_it_is_placed_loses_none_that_waits_behind_it() -> None:
    pool, clumsy, run = pool_of(), Clumsy(), Run()
    placed(pool, clumsy)
    placed(pool, run)
    worker = Worker()
    pool.add(worker)  # type: ignore[arg-type]
    assert worker.runs == [run]
    assert str(clumsy.error) == "placed"


async def test_one_run_that_fails_when_it_is_given_up_keeps_no_other_waiting() -> None:
    pool, clumsy, run = pool_of(), Clumsy(), Run()
    placed(pool, clumsy)
    placed(pool, run)
    pool.give_up("stopped")
    assert run.is_unplaced.is_set() and str(clumsy.error) == "unplaced"
