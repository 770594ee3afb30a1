"""A Dockerfile as the list of its steps. No I/O."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field

VARIABLE = re.compile(r"\$\{?(\w+)\}?")


@dataclass(frozen=True, slots=True)
class Step:
    """`words`: what follows the instruction, as it is written."""

    instruction: str
    words: str


@dataclass(slots=True)
class Stage:
    """`base`: the image that it begins with. `name`: what later stages call it."""

    base: str
    name: str = ""
    steps: list[Step] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        return next(each.words for each in reversed(self.steps) if each.instruction == instruction)

    @property
    def command(self) -> list[str]:
        """The exec form of CMD."""
        return [str(word) for word in json.loads(self.last("CMD"))]

    @property
    def health(self) -> list[str]:
        """The exec form of HEALTHCHECK's command."""
        return [str(word) for word in json.loads(self.last("HEALTHCHECK").partition("CMD")[2])]

    @property
    def environment(self) -> dict[str, str]:
        """What ENV sets, of variables set before it (`PATH=…:$PATH` gets a usual PATH)."""
        values = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
        for step in self.steps:
            if step.instruction == "ENV":
                for pair in shlex.split(step.words):
                    name, _, value = pair.partition("=")
                    values[name] = VARIABLE.sub(lambda found: values.get(found[1], ""), value)
        return values


def stages(text: str) -> list[Stage]:
    """The stages in order. Raises `ValueError` for a line that is no instruction."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    arguments: dict[str, str] = {}
    found: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        instruction, _, words = line.strip().partition(" ")
        if not instruction.isupper():
            raise ValueError(f"not an instruction: {line}")
        if instruction == "FROM":
            base, _, name = words.partition(" AS ")
            filled = VARIABLE.sub(lambda each: arguments.get(each[1], ""), base)
            found.append(Stage(filled.strip(), name.strip()))
        elif instruction == "ARG" and not found:
            name, _, value = words.partition("=")
            arguments[name] = value
        else:
            found[-1].steps.append(Step(instruction, words.strip()))
    return found
