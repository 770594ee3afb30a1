"""What the job server's answers mean."""

from __future__ import annotations

import pytest

from services.supervision.launchers.ray_cluster import (
    ClusterAway,
    JobRefused,
    as_told,
    is_unknown,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, ClusterAway) for status in (401, 403, 500, 502, 503, 504)),
        *((status, JobRefused) for status in (400, 404, 413)),
    ],
)
def test_only_an_answer_about_what_was_asked_is_a_refusal(
    status: int, kind: type[Exception]
) -> None:
    told = as_told(f"Request failed with status code {status}: sorry.")
    assert type(told) is kind
    assert "sorry" in str(told)


def test_a_refusal_of_rays_client_has_no_status() -> None:
    assert type(as_told("600MiB exceeds the maximum")) is JobRefused


def test_a_job_is_unknown_only_if_the_answer_names_it() -> None:
    assert is_unknown("0b6c", JobRefused("status code 404: Job 0b6c does not exist."))
    assert not is_unknown("0b6c", JobRefused("status code 404: /api/jobs/0b6c was not found."))
