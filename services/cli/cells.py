"""The values in the tables of the commands, as programs and as people get them."""

from __future__ import annotations

from django.utils import translation
from django.utils.translation import gettext_noop
from rich.cells import cell_len, set_cell_size

from agents.terminal.inert import one_line

LONGEST_SHOWN = 1000
"""Maximum number of characters of a value in a terminal."""

LONGEST_SUMMARY = 160
"""Maximum width of a `Summary` in a terminal, in its cells: a Chinese character takes two."""

NOTHING = "-"


class Word(str):
    """One of our own words, marked for translation; not a name or a text of somebody else."""

    __slots__ = ()


class Moment(str):
    """A time as in JSON: ISO 8601 in UTC."""

    __slots__ = ()


class Summary(str):
    """A text that is shortened in a terminal: other commands show all of it."""

    __slots__ = ()


class Repeated(str):
    """A value that repeats another one beside it: a terminal omits a column of only these."""

    __slots__ = ()


YES, NO = Word(gettext_noop("yes")), Word(gettext_noop("no"))


def for_programs(value: object) -> str:
    """On one line, and complete."""
    text = _text_of(value)
    return one_line(text, max(1, len(text)))


def for_people(value: object) -> str:
    """On one line, in the active language."""
    match value:
        case bool():
            return translation.gettext(YES if value else NO)
        case Word():
            return translation.gettext(one_line(str(value), LONGEST_SHOWN))
        case Moment() if "T" in value:
            date, _, time = value.partition("T")
            return one_line(f"{date} {time[:8]}Z")
        case Summary():
            return _shortened(one_line(value.partition("\n")[0], LONGEST_SHOWN)) or NOTHING
        case _:
            return one_line(_text_of(value), LONGEST_SHOWN)


def says_something(value: object) -> bool:
    """Whether a column with these values is shown in a terminal."""
    return not isinstance(value, Repeated) and value not in (None, "", [])


def _shortened(line: str) -> str:
    if cell_len(line) <= LONGEST_SUMMARY:
        return line
    return f"{set_cell_size(line, LONGEST_SUMMARY - 1).rstrip()}…"


def _text_of(value: object) -> str:
    match value:
        case None | "":
            return NOTHING
        case bool():
            return YES if value else NO
        case float():
            return f"{value:.1f}"
        case list():
            return ", ".join(map(str, value)) or NOTHING
        case _:
            return str(value)
