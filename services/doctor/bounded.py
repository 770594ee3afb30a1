"""A look at something that may never answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from django.db import connections
from django.utils import translation

T = TypeVar("T")


def within(seconds: float, look: Callable[[], T]) -> T:
    """The result of `look`, which uses the database by connections of its own.

    It is in the language of the caller. Raises `TimeoutError` if there is none in time; the look is
    left behind, and does not keep the process from ending. Raises what `look` raises.
    """
    result: Future[T] = Future()
    language = translation.get_language()

    def work() -> None:
        try:
            with translation.override(language):
                result.set_result(look())
        except BaseException as error:
            result.set_exception(error)
        finally:
            connections.close_all()

    Thread(target=work, name="examination", daemon=True).start()
    return result.result(seconds)
