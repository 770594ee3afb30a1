"""Frames that are cheap to send are counted, and no longer read once there are too many."""

from __future__ import annotations

import pytest

from tests.attacks.judging import carry_out, judging, kinds_of
from tests.attacks.tiny_frames import ATTACKS
from tests.runners import Runner

SHOWN = ("pongs", "long pings", "empty continuations", "texts")


@pytest.mark.parametrize("kind", kinds_of(ATTACKS, *SHOWN))
async def test_a_flood_of_frames_ends_its_own_socket_and_harms_nobody(
    runner: Runner, kind: str
) -> None:
    async with judging(runner) as judgement:
        report = await carry_out("tiny_frames", kind, runner.port)
    judgement.assert_unharmed()
    assert {"4029", "4400"} & set(report["answers"]), report
