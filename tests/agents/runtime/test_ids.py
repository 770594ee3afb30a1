from __future__ import annotations

import time
from uuid import RFC_4122, UUID

from agents.runtime.ids import new_id


def test_an_id_is_a_uuid_of_version_7() -> None:
    parsed = UUID(new_id())
    assert (parsed.version, parsed.variant) == (7, RFC_4122)


def test_an_id_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    moment = UUID(new_id()).int >> 80
    assert before <= moment <= time.time_ns() // 1_000_000


def test_ids_differ() -> None:
    assert len({new_id() for _ in range(10_000)}) == 10_000
