"""Places before the console, under the servers that the site may run on."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Literal

import pytest

from myagent_site.feed import MAX_VIEWERS
from tests.managed_site import until
from tests.sites import Site, url_of_test_database

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


@pytest.fixture(params=["uvicorn", "daphne"])
def site(request: pytest.FixtureRequest, tmp_path: Path, transactional_db: None) -> Iterator[Site]:
    server: Literal["uvicorn", "daphne"] = request.param
    with Site(url_of_test_database(), tmp_path, server=server) as site:
        yield site


def watch(site: Site, stack: ExitStack) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    stack.enter_context(closing(connection))
    connection.request("GET", "/console/events")
    return connection.getresponse()


def test_places_are_limited_and_free_again_when_somebody_leaves(site: Site) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_VIEWERS):
            response = watch(site, stack)
            assert response.status == 200
            assert response.readline().startswith(b"retry:")
        with ExitStack() as one_more:
            assert watch(site, one_more).status == 503

    def is_free() -> bool:
        with ExitStack() as later:
            return watch(site, later).status == 200

    until(is_free)
