"""The verdicts on the clients of a server: remembered for a moment, and watched while they last."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

import structlog
from django.db import Error as DatabaseFailure

from agents.runtime import background
from agents.runtime.bell import Bell
from agents.runtime.database import DatabaseThreads
from agents.runtime.explaining import explain
from agents.runtime.gathering import Gathering
from services.tokens.issuing import BELL
from services.tokens.judging import Denial, Proof, Verdict, judge

logger = structlog.get_logger(__name__)

REMEMBER_S = 1.0
"""Seconds for which a verdict counts for further clients with the same proof."""

MOST_REMEMBERED = 10_000

LOOK_S = 2.0
"""Seconds between two looks at the proofs of all open sockets."""

AT_ONCE = 500
"""Proofs that are looked up together."""


class Passes:
    """Methods belong to the event loop. `enter` and `leave` enclose each watched client."""

    def __init__(self) -> None:
        self._remembered: OrderedDict[Proof, tuple[float, Verdict]] = OrderedDict()
        self._watched: dict[object, tuple[Proof, Callable[[Verdict], None]]] = {}
        self._gatherings: dict[DatabaseThreads, Gathering[Proof, Verdict]] = {}
        self._watch: asyncio.Task[None] | None = None

    async def find(self, proof: Proof, database: DatabaseThreads) -> Verdict:
        """The verdict; those that are asked for at the same time share their queries.

        Raises `django.db.Error`.
        """
        now = asyncio.get_running_loop().time()
        at, verdict = self._remembered.get(proof, (0.0, Denial.UNKNOWN))
        if verdict is not Denial.UNKNOWN and now - at < REMEMBER_S:
            return verdict
        if database not in self._gatherings:
            self._gatherings[database] = Gathering(_judging(database), AT_ONCE)
        verdict = await self._gatherings[database].ask(proof) or Denial.UNKNOWN
        # What is unknown is not remembered: guesses must not push others out.
        if verdict is not Denial.UNKNOWN:
            self._remembered[proof] = (now, verdict)
            self._remembered.move_to_end(proof)
            while len(self._remembered) > MOST_REMEMBERED:
                self._remembered.popitem(last=False)
        return verdict

    def enter(
        self,
        client: object,
        proof: Proof,
        on_verdict: Callable[[Verdict], None],
        database: DatabaseThreads,
    ) -> None:
        """Calls `on_verdict` with every later verdict on the client's proof, until `leave`."""
        self._watched[client] = (proof, on_verdict)
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._look_on(database))

    async def leave(self, client: object) -> None:
        """May be called for somebody who never entered."""
        self._watched.pop(client, None)
        if not self._watched and self._watch is not None:
            watch, self._watch = self._watch, None
            await background.end([watch])

    async def _look_on(self, database: DatabaseThreads) -> None:
        rung = asyncio.Event()
        bell = Bell(BELL, rung.set)
        bell.start()
        try:
            while True:
                try:
                    async with asyncio.timeout(LOOK_S):
                        await rung.wait()
                except TimeoutError:
                    pass  # Nobody rang; it is time anyway.
                rung.clear()
                try:
                    await self._look(_judging(database))
                except DatabaseFailure as error:
                    logger.warning("storage_away", error=explain(error))
                except Exception:
                    # The next look may succeed; without any, nobody would be closed.
                    logger.exception("proofs_not_looked_at")
        finally:
            await bell.stop()

    async def _look(
        self, together: Callable[[list[Proof]], Awaitable[dict[Proof, Verdict]]]
    ) -> None:
        self._remembered.clear()
        proofs = list({proof for proof, _ in self._watched.values()})
        for start in range(0, len(proofs), AT_ONCE):
            verdicts = await together(proofs[start : start + AT_ONCE])
            _tell(list(self._watched.values()), verdicts)


def _tell(
    watched: Iterable[tuple[Proof, Callable[[Verdict], None]]], verdicts: dict[Proof, Verdict]
) -> None:
    for proof, on_verdict in watched:
        if proof in verdicts:
            on_verdict(verdicts[proof])


def _judging(
    database: DatabaseThreads,
) -> Callable[[list[Proof]], Awaitable[dict[Proof, Verdict]]]:
    async def together(proofs: list[Proof]) -> dict[Proof, Verdict]:
        return await database.run(judge, proofs)

    return together
