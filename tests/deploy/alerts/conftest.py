"""A managed site whose server is watched by a real Prometheus, with a fake model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import fresh_database
from tests.deploy.alerts.watched import Watched, watched_site
from tests.fake_model import fake_model_process
from tests.fake_model_control import FakeModelControl


@pytest.fixture(scope="module")
def model() -> Iterator[FakeModelControl]:
    with fake_model_process() as base_url:
        yield FakeModelControl(base_url)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A site for a module's tests, with nothing on it; each makes its fault on a service of its
    own.
    """
    folder = tmp_path_factory.mktemp("site")
    with fresh_database(folder) as url, watched_site(url, folder) as watched:
        watched.serve()
        yield watched


@pytest.fixture
def own(fresh_database_url: str, tmp_path: Path) -> Iterator[Watched]:
    """A site of the test's own, without a server."""
    with watched_site(fresh_database_url, tmp_path) as watched:
        yield watched
