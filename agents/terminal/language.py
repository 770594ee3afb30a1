"""The languages that a terminal's locale asks for. No I/O, and no Django: importing it is cheap."""

from __future__ import annotations

from collections.abc import Mapping

from agents.terminal.encoding import shows

VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
"""The first that is set and not empty names the locale of messages (POSIX.1-2017, 8.2)."""

PREFERENCES = "LANGUAGE"
"""A list of languages that comes before that of the locale (GNU gettext, 2.3.2)."""

NO_LANGUAGE = frozenset({"C", "POSIX"})

SAMPLE = "务“…”"
"""An encoding with these characters can show the Chinese catalogue; Big5 can't."""


def tags(environment: Mapping[str, str], encoding: str = "utf-8") -> list[str]:
    """Language tags such as `zh-CN`, the preferred one first.

    None where the locale names no language, whatever `LANGUAGE` says, and where
    the terminal's encoding could not show another language than English. Whether
    the locale is installed makes no difference.
    """
    locale = next(filter(None, (environment.get(name) for name in VARIABLES)), "C")
    if _bare(locale) in NO_LANGUAGE or not shows(SAMPLE, encoding):
        return []
    names = [*environment.get(PREFERENCES, "").split(":"), locale]
    return [bare.replace("_", "-") for name in names if (bare := _bare(name))]


def is_english(wanted: list[str]) -> bool:
    """Whether nothing but English is asked for; other languages may still not be supported."""
    return not wanted or wanted[0].lower().partition("-")[0] in ("en", "c", "posix")


def _bare(locale: str) -> str:
    """`zh_CN` for `zh_CN.UTF-8` and `zh_CN@pinyin`."""
    return locale.partition(".")[0].partition("@")[0]
