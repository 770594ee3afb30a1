"""The form of a setting: how its text in the environment is read. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

TRUE = frozenset({"true", "yes", "y", "on", "1"})
FALSE = frozenset({"false", "no", "n", "off", "0"})

LARGEST = 1e9
"""The maximum of a number that need not be whole: about thirty years in seconds."""


@dataclass(frozen=True, slots=True)
class Option:
    """`default` has the type that `kind` names; `help` gives the unit.

    `choices`: the only texts that are allowed, if there are any. `starts`: with one of these a text
    that is not empty begins. `is_standard`: other programs read a variable of that name as well, so
    that a service may have its own.
    """

    name: str
    kind: Literal["str", "bool", "int", "float", "list"]
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    is_standard: bool = False

    def parse(self, text: str) -> Any:
        """The value as the environment has it. Raises `ValueError`, a sentence."""
        match self.kind:
            case "str":
                return self._checked(text)
            case "list":
                return [item.strip() for item in text.split(",") if item.strip()]
        word = text.strip().lower()
        if not word:
            return self.default
        match self.kind:
            case "bool" if word in TRUE | FALSE:
                return word in TRUE
            case "int" if re.fullmatch(r"[0-9]{1,15}", word):
                return int(word)
            case "float" if _is_number(word):
                return float(word)
        raise ValueError(f"{self.name} must be {KINDS[self.kind]}, not {text!r}.")

    def _checked(self, text: str) -> str:
        if self.choices:
            text = text.strip().lower() or self.default
            if text not in self.choices:
                raise ValueError(f"{self.name} must be one of: {', '.join(self.choices)}.")
        # The text itself may hold a password.
        if text and self.starts and not text.startswith(self.starts):
            raise ValueError(f"{self.name} must begin with one of: {', '.join(self.starts)}.")
        return text


KINDS = {
    "bool": "`true` or `false`",
    "int": f"a whole number from 0 to {10**15 - 1}",
    "float": f"a number from 0 to {LARGEST:.0f}",
}


def _is_number(word: str) -> bool:
    try:
        return 0 <= float(word) <= LARGEST
    except ValueError:
        return False
