"""A unit file of systemd as what it says. No I/O, and nothing that Python does not bring."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Mapping

PREFIXES = "-@:+!"
"""Of commands: what they mean to systemd (a failure that does not count, other rights)."""

VARIABLE = re.compile(r"\$\{(\w+)\}")


class Unit:
    """`of(name)`: all that is assigned to a name of any section, in order."""

    def __init__(self, text: str, instance: str = "") -> None:
        self._values: defaultdict[str, list[str]] = defaultdict(list)
        for line in text.replace("\\\n", " ").splitlines():
            name, is_assignment, value = line.partition("=")
            if is_assignment and not line.startswith(("#", ";")):
                value = value.strip().replace("%i", instance).replace("%I", instance)
                # An empty one forgets those before it.
                self._values[name.strip()] = [*self._values[name.strip()], value] if value else []

    def of(self, name: str) -> list[str]:
        return self._values[name]

    def last(self, name: str, default: str = "") -> str:
        return self._values[name][-1] if self._values[name] else default

    def environment(self) -> dict[str, str]:
        pairs = (
            word.partition("=") for line in self.of("Environment") for word in shlex.split(line)
        )
        return {name: value for name, _, value in pairs}


def words_of(command: str, environment: Mapping[str, str]) -> list[str]:
    """The words of a line such as ExecStart=, with variables as systemd fills them in.

    `$NAME` as a word of its own becomes any number of words; `${NAME}` part of one; `$$` a dollar.
    """
    words: list[str] = []
    for word in shlex.split(command.lstrip(PREFIXES)):
        if re.fullmatch(r"\$\w+", word):
            words += environment.get(word[1:], "").split()
        else:
            filled = VARIABLE.sub(lambda found: environment.get(found[1], ""), word)
            words.append(filled.replace("$$", "$"))
    return words
