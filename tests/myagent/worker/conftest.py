from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.myagent.worker.processes import Launch, workers


@pytest.fixture
def launch() -> Iterator[Launch]:
    with workers() as start:
        yield start
