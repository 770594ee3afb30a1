"""Who a client is. Neither this module nor the rooms below know how the client proved it."""

from __future__ import annotations

from dataclasses import dataclass

MAX_KEY = 64


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or a program.

    `key` (1 to `MAX_KEY` characters) is kept with what the principal creates;
    `sees_everything`: whether that of others is open to it as well.
    """

    key: str
    name: str
    sees_everything: bool = False


def may_use(principal: Principal | None, creator: str) -> bool:
    """Whether the principal may use what `creator` created (a key, '' for nobody).

    None stands for everybody, where no authentication is required.
    """
    if principal is None or principal.sees_everything:
        return True
    return principal.key == creator


def key_of(principal: Principal | None) -> str:
    """What is kept with what the principal creates."""
    return "" if principal is None else principal.key
