"""The verdicts that a server remembers, shares and watches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
from django.db import OperationalError

from agents.principals import Principal
from agents.runtime.database import DatabaseThreads
from services.tokens import passes
from services.tokens.judging import Denial, Proof, Verdict
from services.tokens.passes import Passes

ADA = Principal("user:1", "ada")
PATIENCE_S = 30.0


class Judges:
    """Judges without a database, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.looks: asyncio.Queue[int] = asyncio.Queue()
        self.revoked: set[Proof] = set()
        self.is_away = False

    async def run(self, _: Any, proofs: list[Proof]) -> dict[Proof, Verdict]:
        self.asked.append(len(proofs))
        self.looks.put_nowait(len(proofs))
        if self.is_away:
            raise OperationalError("away")
        return {each: Denial.UNKNOWN if each in self.revoked else ADA for each in proofs}

    @property
    def database(self) -> DatabaseThreads:
        return cast(DatabaseThreads, self)


@pytest.fixture
def judges(monkeypatch: pytest.MonkeyPatch) -> Iterator[Judges]:
    monkeypatch.setattr(passes, "LOOK_S", 0.01)
    yield Judges()


def proof(number: int) -> Proof:
    return Proof(f"{number}", is_token=True)


async def test_a_thousand_clients_at_once_are_judged_in_a_few_batches(judges: Judges) -> None:
    found = Passes()
    asked = [found.find(proof(number % 700), judges.database) for number in range(1000)]
    assert set(await asyncio.gather(*asked)) == {ADA}
    assert len(judges.asked) <= 4
    assert sum(judges.asked) == 700
    assert await found.find(proof(1), judges.database) == ADA
    assert sum(judges.asked) == 700


async def test_what_is_unknown_is_asked_for_again(judges: Judges) -> None:
    found = Passes()
    judges.revoked.add(proof(1))
    assert await found.find(proof(1), judges.database) is Denial.UNKNOWN
    judges.revoked.clear()
    assert await found.find(proof(1), judges.database) == ADA


async def test_clients_hear_of_a_revocation_and_a_database_that_is_away_closes_nobody(
    judges: Judges,
) -> None:
    found = Passes()
    heard: asyncio.Queue[tuple[str, Verdict]] = asyncio.Queue()
    for name, number in (("leaving", 1), ("staying", 2)):
        found.enter(
            name,
            proof(number),
            lambda verdict, name=name: heard.put_nowait((name, verdict)),
            judges.database,
        )
    judges.is_away = True
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(3):
            await judges.looks.get()
        assert heard.empty()
        judges.revoked.add(proof(1))
        judges.is_away = False
        seen: set[tuple[str, Verdict]] = set()
        while ("leaving", Denial.UNKNOWN) not in seen:
            seen.add(await heard.get())
    assert ("staying", Denial.UNKNOWN) not in seen
    await found.leave("leaving")
    await found.leave("staying")
    await found.leave("staying")


async def test_a_memory_ends_with_the_next_look(judges: Judges) -> None:
    found = Passes()
    heard = asyncio.Event()
    found.enter("watched", proof(2), lambda _: heard.set(), judges.database)
    await found.find(proof(1), judges.database)
    judges.revoked.add(proof(1))
    async with asyncio.timeout(PATIENCE_S):
        await heard.wait()
    assert await found.find(proof(1), judges.database) is Denial.UNKNOWN
    await found.leave("watched")
