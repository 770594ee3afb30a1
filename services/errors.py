"""Why a verb on services was refused, in a sentence for the person who asked."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_noop

from myagent.sentence import Said
from services.telling import plain, tell


class ServiceError(Exception):
    """`code` is for programs; the text, in the active language, for people.

    `template` is marked with `gettext_noop`; `field` is the name of the wrong argument, if there is
    one.
    """

    def __init__(self, code: str, template: str, *, field: str = "", **values: Any) -> None:
        super().__init__(code, template, values)
        self.code = code
        self.field = field
        named = values | {"field": field}
        self.sentence = Said(template, {name: plain(value) for name, value in named.items()})

    def __str__(self) -> str:
        return tell(self.sentence)


class UnknownService(ServiceError):
    """There is no service of that name or id."""


class UnknownConnection(ServiceError):
    """There is no open connection of that id."""


class Conflict(ServiceError):
    """The operation is not possible in the present state."""


def being_unregistered(name: str) -> Conflict:
    """The service is being unregistered: it can't be changed or controlled any more."""
    return Conflict(
        "unregistered", gettext_noop("The service '{name}' is being unregistered."), name=name
    )
