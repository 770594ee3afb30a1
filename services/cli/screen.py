"""The output of the commands: tables and colours in a terminal, plain lines in a pipe.

Sentences come in the language of the terminal. Rows are for programs in a pipe, and in English
there; a terminal translates what is a `Word` of them, and the columns' names.

Whatever they show may come from elsewhere: nothing in it controls the terminal.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import Any, Protocol

from django.utils import translation
from django.utils.translation import gettext_noop
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from agents.terminal.inert import DIRECTIONS, one_line, readable
from services.models import Instance, Service

LONGEST_CELL = 1000

LONG_COLUMNS = frozenset({"tags", "error", "detail"})
"""Columns that shrink first in a narrow terminal."""

STYLES: dict[str, str] = {
    **{Service.Status.RUNNING: "green", Service.Status.STOPPED: "dim", "healthy": "green"},
    **{Service.Status.UNHEALTHY: "yellow", Service.Status.ERROR: "bold red", "failing": "yellow"},
    **{Service.Status.STARTING: "cyan", Service.Status.STOPPING: "cyan"},
    Instance.State.DRAINING: "cyan",
}
"""Styles by the text of a cell."""

_NOT_FOR_TERMINALS = re.compile(f"[\x7f-\x9f{''.join(map(chr, DIRECTIONS))}]")


class Word(str):
    """A cell with a word of our own, marked for translation, as opposed to a name or text."""

    __slots__ = ()


YES, NO = Word(gettext_noop("yes")), Word(gettext_noop("no"))


class Output(Protocol):
    """The stream for a program's output."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class Progress(Protocol):
    """Progress of what is awaited."""

    def tell(self, sentence: str) -> None: ...


class Screen(Protocol):
    """The output of a command."""

    def say(self, sentence: str) -> None:
        """Prints a sentence, or a line of text from elsewhere."""

    def facts(self, facts: Iterable[tuple[str, object]]) -> None:
        """Prints names with their values."""

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """The columns' names are marked for translation."""

    def progress(self) -> contextlib.AbstractContextManager[Progress]: ...


class RichScreen:
    """A terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, sentence: str) -> None:
        self._console.print(Text(readable(sentence)), soft_wrap=True)

    def facts(self, facts: Iterable[tuple[str, object]]) -> None:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in facts:
            grid.add_row(Text(name), _styled(value))
        self._console.print(grid)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        for column in columns:
            heading = Text(translation.gettext(column))
            table.add_column(heading, overflow="fold", no_wrap=column not in LONG_COLUMNS)
        for row in rows:
            table.add_row(*map(_styled, row))
        self._console.print(table)

    @contextlib.contextmanager
    def progress(self) -> Iterator[Progress]:
        line = _ProgressLine()
        with Live(
            console=self._console,
            get_renderable=line.draw,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ):
            yield line


class _ProgressLine:
    def __init__(self) -> None:
        self._sentence = ""
        self._since = monotonic()
        self._spinner = Spinner("dots")

    def tell(self, sentence: str) -> None:
        self._sentence = one_line(sentence)

    def draw(self) -> Spinner:
        self._spinner.update(text=Text(f"{self._sentence} {monotonic() - self._since:.0f} s"))
        return self._spinner


class PlainScreen:
    """For programs: a line for each item, its parts separated by tabs."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def say(self, sentence: str) -> None:
        self._write(readable(sentence))

    def facts(self, facts: Iterable[tuple[str, object]]) -> None:
        for fact in facts:
            self._write_cells(fact)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        self._write_cells(columns)
        for row in rows:
            self._write_cells(row)

    @contextlib.contextmanager
    def progress(self) -> Iterator[Progress]:
        yield _Silence()

    def _write_cells(self, cells: Sequence[object]) -> None:
        self._write("\t".join(_cell(cell) for cell in cells))

    def _write(self, line: str) -> None:
        self._output.write(f"{line}\n")
        self._output.flush()


class _Silence:
    def tell(self, sentence: str) -> None:
        """Shows nothing: a program needs only the end."""


def as_json(value: Any) -> str:
    """JSON for people and programs: other alphabets as they are, control characters escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # JSON allows these unescaped, and some terminals obey them.
    return _NOT_FOR_TERMINALS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _styled(value: object) -> Text:
    if isinstance(value, bool):
        value = YES if value else NO
    text = _cell(value)
    shown = translation.gettext(text) if isinstance(value, Word) else text
    return Text(shown, STYLES.get(text, ""))


def _cell(value: object) -> str:
    match value:
        case None | "":
            return "-"
        case bool():
            return YES if value else NO
        case float():
            return f"{value:.1f}"
        case list():
            return one_line(", ".join(map(str, value)) or "-", LONGEST_CELL)
        case _:
            return one_line(str(value), LONGEST_CELL)
