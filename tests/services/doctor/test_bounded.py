"""A look at something that may never answer."""

from __future__ import annotations

from threading import Event

import pytest
from django.utils import translation

from services.doctor.bounded import within


def test_a_look_is_in_the_language_of_the_caller() -> None:
    with translation.override("zh-hans"):
        assert within(30, translation.get_language) == "zh-hans"


def test_a_look_that_takes_too_long_is_left_behind() -> None:
    over = Event()
    try:
        with pytest.raises(TimeoutError):
            within(0.01, over.wait)
    finally:
        over.set()
