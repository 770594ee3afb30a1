"""Who a client is. Neither this module nor the rooms below know how the client proved it."""

from __future__ import annotations

from dataclasses import dataclass

MAX_KEY = 64


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or a program.

    `key` (1 to `MAX_KEY` characters) is kept with what the principal creates;
    `sees_everything`: whether it may read that of others as well, and `acts_everywhere`: then also
    take part in it; `services`: the names of the only services that it may use, None if there is
    no such limit.
    """

    key: str
    name: str
    sees_everything: bool = False
    services: frozenset[str] | None = None
    acts_everywhere: bool = False

    def may_all_of(self, other: Principal) -> bool:
        """Whether it may do everything that the other one may."""
        if other.sees_everything and not self.sees_everything:
            return False
        if other.acts_everywhere and not self.acts_everywhere:
            return False
        if self.services is None:
            return True
        return other.services is not None and other.services <= self.services


NOBODY = Principal("nobody", "", services=frozenset())
"""Somebody who has yet to say who it is, and may use nothing."""


def may_see(principal: Principal | None, creator: str) -> bool:
    """Whether the principal may read what `creator` created (a key, '' for nobody).

    None stands for everybody, where no authentication is required.
    """
    return principal is None or principal.sees_everything or principal.key == creator


def may_act(principal: Principal | None, creator: str) -> bool:
    """Whether the principal may take part in what `creator` created: write, rename, remove."""
    if principal is None or principal.key == creator:
        return True
    return principal.sees_everything and principal.acts_everywhere


def may_use_service(principal: Principal | None, service: str) -> bool:
    """Whether the principal may use the agent of a service."""
    return principal is None or principal.services is None or service in principal.services


def key_of(principal: Principal | None) -> str:
    """What is kept with what the principal creates."""
    return "" if principal is None else principal.key
