"""Settings files with one `NAME=value` per line, known as `.env`."""

from __future__ import annotations

import os
import re
from collections import ChainMap
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from myagent.sentence import Sentence

if TYPE_CHECKING:
    from dotenv.parser import Binding

MAX_CHARACTERS = 1024 * 1024
"""Maximum length of a file; a longer one is not a settings file."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class EnvFileError(Exception):
    """The file can't be read; `sentence` names it and the line, but does not quote the line.

    A line that can't be read may contain a key after a mistyped name.
    """

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def read_env_file(path: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """The settings in the file, as python-dotenv understands them.

    Blanks around `=`, quotes, `export`, comments and `${NAME}` have the same meaning as there.
    `known` are the variables that `${NAME}` may refer to, besides earlier ones in the file; None:
    this process's environment. The environment is not changed. Raises `EnvFileError`, and
    `ImportError` where python-dotenv is not installed.
    """
    try:
        # A pipe or a device has no end.
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise EnvFileError(
            Sentence("{file} can't be read: {reason}.", file=path, reason=reason)
        ) from error
    except UnicodeDecodeError:
        # The error itself would quote the line.
        raise EnvFileError(Sentence("{file} is not text in UTF-8.", file=path)) from None
    if len(text) > MAX_CHARACTERS:
        raise EnvFileError(Sentence("{file} is too long for a file of settings.", file=path))
    _check(text, path)
    return _values(text, os.environ if known is None else known)


def apply(settings: dict[str, str]) -> None:
    """Sets variables in the environment; those that are already set take precedence."""
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def _check(text: str, path: Path) -> None:
    from dotenv.parser import parse_stream

    for binding in parse_stream(StringIO(text)):
        if not (_is_blank(binding) or _is_setting(binding)):
            raise EnvFileError(
                Sentence(
                    "{file}, line {line} is not a setting of the form NAME=value.",
                    file=path,
                    line=binding.original.line + _lines_before(binding.original.string),
                )
            )


def _values(text: str, known: Mapping[str, str]) -> dict[str, str]:
    from dotenv import dotenv_values
    from dotenv.variables import parse_variables

    values: dict[str, str] = {}
    for name, value in dotenv_values(stream=StringIO(text), interpolate=False).items():
        if value is not None:
            # This is what `dotenv_values` does, except that it always uses this process's
            # environment.
            there = ChainMap(values, dict(known))
            values[name] = "".join(atom.resolve(there) for atom in parse_variables(value))
    return values


def _is_blank(binding: Binding) -> bool:
    return binding.key is None and not binding.error


def _is_setting(binding: Binding) -> bool:
    is_named = binding.key is not None and _NAME.fullmatch(binding.key) is not None
    return is_named and binding.value is not None and "\0" not in binding.value


def _lines_before(text: str) -> int:
    """The blank lines before a setting, which belong to it."""
    blank = re.match(r"\s*", text)
    return len(re.findall(r"\r\n|\n|\r", blank[0])) if blank else 0
