"""The garbage collector is left alone while an agent file is loaded, and then is as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from myagent.worker.garbage import LOADED, little_garbage


@pytest.fixture(autouse=True)
def usual() -> Iterator[tuple[int, int, int]]:
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)
    gc.unfreeze()


def test_a_file_is_loaded_with_few_collections_and_never_looked_through_again(
    usual: tuple[int, int, int],
) -> None:
    with little_garbage():
        assert gc.get_threshold() == (LOADED, *usual[1:])
        loaded = [[] for _ in range(1_000)]  # type: ignore[var-annotated]
    assert gc.get_threshold() == usual
    assert gc.get_freeze_count() > len(loaded)


def test_a_file_that_can_not_be_loaded_leaves_the_collector_as_it_was(
    usual: tuple[int, int, int],
) -> None:
    with pytest.raises(ImportError), little_garbage():
        raise ImportError
    assert gc.get_threshold() == usual


def test_what_the_file_itself_sets_holds() -> None:
    with little_garbage():
        gc.set_threshold(123, 4, 5)
    assert gc.get_threshold() == (123, 4, 5)
