"""Settings that do not go together are refused before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from agents.checks import check_numbers


@pytest.mark.parametrize(
    ("lease_s", "renew_s", "found"),
    [
        (15.0, 5.0, []),
        (0.3, 0.1, []),  # Three times 0.1 is a little more than 0.3, for a computer.
        (15.0, 5.01, ["myagent.E002"]),
        (15.0, 7.5, ["myagent.E002"]),
    ],
)
def test_a_lease_is_renewed_three_times_as_often_as_it_ends(
    lease_s: float, renew_s: float, found: list[str], settings: Any
) -> None:
    settings.MYAGENT_LEASE_S, settings.MYAGENT_RENEW_S = lease_s, renew_s
    assert [error.id for error in check_numbers()] == found
