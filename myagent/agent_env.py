"""The file `.env` beside an agent file: variables for that agent alone."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from myagent import env_file

NAME = ".env"

OF_SITES = frozenset(
    {
        *("SECRET_KEY", "SECRET_KEY_FALLBACKS", "DATABASE_URL", "REDIS_URL"),
        *("DEBUG", "ALLOWED_HOSTS"),
        *("DJANGO_SETTINGS_MODULE", "PYTHONPATH"),
    }
)
PREFIXES_OF_SITES = ("MYSQL_", "MYAGENT_")
PREFIX_OF_MODELS = "MYAGENT_MODEL_"
"""Prefix of the settings that the SDK reads in the agent's process."""

logger = logging.getLogger(__name__)


def is_of_models(name: str) -> bool:
    """Whether the SDK reads the variable in the agent's process: each agent may have its own."""
    return name.startswith(PREFIX_OF_MODELS)


def is_of_a_site(name: str) -> bool:
    """Whether the variable is a setting of the site, and not of an agent."""
    if is_of_models(name):
        return False
    return name in OF_SITES or name.startswith(PREFIXES_OF_SITES)


def beside(file: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables in the `.env` beside an agent file, without settings of the site.

    `known`: the variables that `${NAME}` may refer to; None: this process's environment. Raises
    `EnvFileError`, and `ImportError` where python-dotenv is not installed.
    """
    path = file.expanduser().resolve().with_name(NAME)
    # Virtual environments may be folders of this name.
    if not path.is_file():
        return {}
    found = env_file.read_env_file(path, known)
    return {name: value for name, value in found.items() if not is_of_a_site(name)}


@lru_cache(maxsize=1024)
def apply_beside(file: Path) -> None:
    """Sets the variables in this process, once, unless they are set. Raises `EnvFileError`."""
    try:
        env_file.apply(beside(file))
    except ImportError:
        path = file.resolve().with_name(NAME)
        logger.warning("%s is not read: python-dotenv is not installed", path)


def file_of_caller() -> Path | None:
    """The file of the code that called the SDK; None if the code is in no file."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    file = frame.f_globals.get("__file__")
    # A program read from standard input has the name of a file that does not exist.
    return Path(file) if isinstance(file, str) and Path(file).is_file() else None


def _is_ours(module: str) -> bool:
    # A copy of an agent with changes is created in `dataclasses`.
    return module.partition(".")[0] in ("myagent", "dataclasses")
