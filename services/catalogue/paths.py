"""Paths that people name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.fields import invalid


@contextmanager
def reached(field: str, path: str, template: str) -> Iterator[None]:
    """Within it, one that can't be looked at is refused with the field, its path and the reason.

    Raises `ServiceError`. `template`: a sentence with {path} and {reason}.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        # A folder that can't be entered, a name that is too long; `~` of a user that there is not.
        reason = getattr(error, "strerror", None) or str(error)
        raise invalid(field, template, path=path, reason=reason) from error
