"""Tries the project's regular expressions on texts that make a careless one search for ages.

A program, `python -m tests.fuzz.patterns`: it prints each pattern that takes longer than
`MOST_CPU_S` for a text of `LENGTH` characters, which a linear one reads in milliseconds. Time is
the process's own, so that a busy machine finds nothing else.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

PACKAGES = ("myagent", "agents", "traces", "services", "myagent_site")
LENGTH = 12_000
MOST_CPU_S = 0.5

AT_THE_BEGINNING = {
    "myagent.models.addresses._SCHEME",
    "myagent.models.offline.model._FOLLOW_UP",
    "myagent_site.sbom.PIN",
}
"""Those that are only matched, and never searched for."""

NOT_IMPORTED = ("migrations", "management", "__main__")


class TooSlow(Exception):
    """The time is over."""


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Those that modules keep, by name."""
    seen: set[str] = set()
    for package in PACKAGES:
        for module in _modules(package):
            for name, value in vars(module).items():
                is_one = isinstance(value, re.Pattern) and isinstance(value.pattern, str)
                if is_one and value.pattern not in seen:
                    seen.add(value.pattern)
                    yield f"{module.__name__}.{name}", value


def _modules(package: str) -> Iterator[Any]:
    root = importlib.import_module(package)
    for found in pkgutil.walk_packages(root.__path__, f"{package}."):
        if not any(part in NOT_IMPORTED for part in found.name.split(".")):
            try:
                yield importlib.import_module(found.name)
            except ImportError:
                continue  # An optional package of a launcher or an exporter is not installed.


def pumps(pattern: str) -> Iterator[str]:
    """Short texts of the characters that a pattern speaks of, and of some of each class."""
    literal = re.sub(r"\\[a-zA-Z]|\(\?[:=!<P]*", "", pattern)
    characters = sorted(set(literal) - set("()[]?*+^$|\\"))
    # One of each range is enough.
    others = [one for one in characters if not one.isalnum()][:24]
    alike = [one for one in characters if one.isalnum()][:6]
    yield from dict.fromkeys((*others, *alike, *" \n.,\"'a0A中"))
    yield from dict.fromkeys(f"{one}a" for one in (*others[:12], " ", "A"))


def texts(pattern: str) -> Iterator[str]:
    """A pump again and again, with an end that does not match."""
    for pump in pumps(pattern):
        many = pump * (LENGTH // len(pump))
        for before, after in (("", "\x00"), ("A", "\n")):
            yield before + many + after


def is_slow(pattern: re.Pattern[str], *, is_searched: bool = True) -> str:
    """The beginning of a text that it is too slow for; '' if there is none."""
    for text in texts(pattern.pattern):
        signal.setitimer(signal.ITIMER_VIRTUAL, MOST_CPU_S)
        try:
            pattern.match(text)
            pattern.fullmatch(text)
            for _ in pattern.finditer(text) if is_searched else ():
                pass
        except TooSlow:
            return text[:30]
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return ""


def _stop(number: int, frame: FrameType | None) -> None:
    raise TooSlow


if __name__ == "__main__":
    import django

    django.setup()
    signal.signal(signal.SIGVTALRM, _stop)
    for name, pattern in patterns():
        if text := is_slow(pattern, is_searched=name not in AT_THE_BEGINNING):
            print(f"{name} {pattern.pattern[:80]!r} is slow for {text!r}", flush=True)
