"""Heads without an end are refused because of their size, without affecting others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.attacks.endless_heads import ATTACKS
from tests.attacks.judging import carry_out, judging, kinds_of
from tests.runners import Runner, Server

ANSWERS = {
    "many headers": {"431"},
    "one header": {"431"},
    "one name": {"431"},
    "blanks before a value": {"431"},
    "an address": {"414"},
    "a query": {"414"},
    "trailers": {"431"},
    "one trailer": {"431"},
    "a chunk's extension": {"431"},
    "requests in a row": {"200"},
    "blank lines": {"431"},
}


SHOWN = ("many headers", "one header", "an address", "trailers", "requests in a row")


@pytest.mark.parametrize("kind", kinds_of(ATTACKS, *SHOWN))
async def test_a_head_without_an_end_is_refused_and_harms_nobody(runner: Runner, kind: str) -> None:
    async with judging(runner) as judgement:
        report = await carry_out("endless_heads", kind, runner.port)
    judgement.assert_unharmed()
    assert ANSWERS[kind] & set(report["answers"]), report


@pytest.mark.parametrize(
    "kind", ["many headers", pytest.param("an address", marks=pytest.mark.long)]
)
async def test_daphnes_own_bounds_protect_the_others_too(
    runner_of: Callable[[Server], Runner], kind: str
) -> None:
    runner = runner_of("daphne")
    async with judging(runner) as judgement:
        await carry_out("endless_heads", kind, runner.port)
    judgement.assert_unharmed()
