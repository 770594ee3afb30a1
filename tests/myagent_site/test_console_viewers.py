"""Places before the console, under the servers that the site may run on."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client as Login

from myagent_site.feed import MAX_VIEWERS
from tests.managed_site import until
from tests.sites import Site, url_of_test_database

ENDING_S = 50.0
"""Ten times the seconds within which a stream ends."""

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


@pytest.fixture(params=["uvicorn", "daphne"])
def site(request: pytest.FixtureRequest, tmp_path: Path, transactional_db: None) -> Iterator[Site]:
    server: Literal["uvicorn", "daphne"] = request.param
    with Site(url_of_test_database(), tmp_path, server=server) as site:
        yield site


def watch(
    site: Site, stack: ExitStack, headers: Mapping[str, str] = MappingProxyType({})
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    stack.enter_context(closing(connection))
    connection.request("GET", "/console/events", headers=headers)
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


def test_the_stream_of_somebody_who_is_logged_out_ends(
    tmp_path: Path, transactional_db: None
) -> None:
    User.objects.create_superuser("ada")
    login = Login()
    login.force_login(User.objects.get())
    cookie = f"myagent_session={login.cookies['myagent_session'].value}"
    url = url_of_test_database()
    with Site(url, tmp_path, env={"MYAGENT_AUTH": "token"}) as site, ExitStack() as stack:
        response = watch(site, stack, {"Cookie": cookie})
        assert response.readline().startswith(b"retry:")
        Session.objects.all().delete()
        deadline = time.monotonic() + ENDING_S
        while response.readline():
            assert time.monotonic() < deadline
        with ExitStack() as again:
            assert watch(site, again, {"Cookie": cookie}).status == 403
