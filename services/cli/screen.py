"""The output of the commands: tables and colours in a terminal, plain lines in a pipe.

Sentences are in the language of the terminal. Rows in a pipe are for programs: they are in English,
and nothing is cut. A terminal translates each `Word` in them, and the names of the columns. If the
terminal is too narrow for a table, a list is shown instead, so that no number loses a digit.

The values may come from elsewhere: nothing in them controls the terminal.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

from django.utils import translation
from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from agents.terminal.inert import DIRECTIONS, one_line, readable
from services.cli.cells import NOTHING, for_people, for_programs, says_something
from services.cli.columns import GAP, widths
from services.models import Instance, Service

BREAKABLE = frozenset({"status", "machine", "supervisor", "started", "ended", "checked"})
"""Columns whose values may continue on the next line of a narrow terminal."""

LONG = frozenset({"tags", "error", "detail", "title", "finding", "what to do"})
"""Columns that are shown below their row if there is no room beside it; they may be broken, too."""

NARROWEST = 12
"""Minimum width of a `BREAKABLE` column whose values are broken."""

NARROWEST_LONG = 40
"""Minimum width of a `LONG` column beside others: a sentence in a narrower one is hard to read."""

LEAST_ROOM = 12
"""Minimum width of a fact's value beside its name; if there is less room, it is shown below."""

STYLES: dict[str, str] = {
    **{Service.Status.RUNNING: "green", Service.Status.STOPPED: "dim", "healthy": "green"},
    **{Service.Status.UNHEALTHY: "yellow", Service.Status.ERROR: "bold red", "degraded": "yellow"},
    **{Service.Status.STARTING: "cyan", Service.Status.STOPPING: "cyan"},
    Instance.State.DRAINING: "cyan",
    **{"ok": "green", "warning": "yellow", "problem": "bold red"},
    **{"failed": "bold red", "timed_out": "bold red", "cut_off": "yellow", "unknown": "yellow"},
}
"""Styles by the text of a cell."""

_NOT_FOR_TERMINALS = re.compile(f"[\x7f-\x9f{''.join(map(chr, DIRECTIONS))}]")


@dataclass(frozen=True, slots=True)
class Branch:
    """A line, and what belongs below it. `status` gives it a colour, as a cell has it."""

    line: str
    status: str = ""
    branches: list[Branch] = field(default_factory=list)


class Output(Protocol):
    """The stream for a program's output."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class Progress(Protocol):
    """The progress of what is awaited."""

    def tell(self, sentence: str) -> None: ...


class Screen(Protocol):
    """The output of a command."""

    def say(self, sentence: str) -> None:
        """Prints a sentence, or a line of foreign text."""

    def facts(self, facts: Iterable[tuple[str, object]]) -> None:
        """Prints names with their values."""

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """The columns' names are marked for translation."""

    def tree(self, root: Branch) -> None:
        """Prints a line with those below it."""

    def progress(self) -> contextlib.AbstractContextManager[Progress]: ...


class RichScreen:
    """A terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, sentence: str) -> None:
        self._console.print(Text(readable(sentence)), soft_wrap=True)

    def facts(self, facts: Iterable[tuple[str, object]]) -> None:
        self._list([(name, _styled(value)) for name, value in facts])

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        found = [tuple(row) for row in rows]
        shown = [
            i for i in range(len(columns)) if not found or any(says_something(r[i]) for r in found)
        ]
        cells = [{columns[i]: _styled(row[i]) for i in shown} for row in found]
        names = [columns[i] for i in shown]
        beside = [name for name in names if name not in LONG]
        for across in (names, beside):
            if across and (room := self._fit(across, cells)) is not None:
                self._rows(dict(zip(across, room, strict=True)), cells)
                return
        for number, row in enumerate(cells):
            if number:
                self.say("")
            self._list([(translation.gettext(name), cell) for name, cell in row.items()])

    def _fit(self, names: Sequence[str], cells: Sequence[Mapping[str, Text]]) -> list[int] | None:
        return widths(
            [translation.gettext(name) for name in names],
            [[row[name].plain for name in names] for row in cells],
            self._console.width,
            breakable={
                i: NARROWEST_LONG if name in LONG else NARROWEST
                for i, name in enumerate(names)
                if name in BREAKABLE | LONG
            },
        )

    def _rows(self, across: Mapping[str, int], cells: Sequence[Mapping[str, Text]]) -> None:
        """Columns that do not fit into the terminal are shown below their row."""
        heads = {name: Text(translation.gettext(name), "dim") for name in across}
        for row in (heads, *cells):
            grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
            for width in across.values():
                grid.add_column(overflow="fold", width=width)
            grid.add_row(*(row[name] for name in across))
            self._console.print(grid)
            for name, cell in row.items():
                if name not in across and cell.plain != NOTHING:
                    line = Text(f"{' ' * GAP}{translation.gettext(name)}: ", "dim")
                    self._console.print(line.append_text(cell), soft_wrap=True)

    def _list(self, facts: Sequence[tuple[str, Text]]) -> None:
        widest = max((cell_len(name) for name, _ in facts), default=0)
        if widest + GAP + LEAST_ROOM > self._console.width:
            for name, value in facts:
                line = Text(f"{name}: ", "dim").append_text(value)
                self._console.print(line, soft_wrap=True)
            return
        grid = Table.grid(padding=(0, GAP))
        grid.add_column(style="dim", width=widest)
        grid.add_column(overflow="fold")
        for name, value in facts:
            grid.add_row(Text(name), value)
        self._console.print(grid)

    def tree(self, root: Branch) -> None:
        self._console.print(_grown(root), soft_wrap=True)

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

    def tree(self, root: Branch, depth: int = 0) -> None:
        self._write("\t" * depth + for_programs(root.line))
        for branch in root.branches:
            self.tree(branch, depth + 1)

    @contextlib.contextmanager
    def progress(self) -> Iterator[Progress]:
        yield _Silence()

    def _write_cells(self, cells: Sequence[object]) -> None:
        self._write("\t".join(map(for_programs, cells)))

    def _write(self, line: str) -> None:
        self._output.write(f"{line}\n")
        self._output.flush()


class _Silence:
    def tell(self, sentence: str) -> None:
        """Shows nothing: a program needs only the end."""


def as_json(value: Any) -> str:
    """JSON for people and programs: other alphabets as they are, control characters escaped."""
    return inert_json(json.dumps(value, indent=2, ensure_ascii=False))


def inert_json(text: str) -> str:
    """JSON without characters that it allows unescaped, and that some terminals obey."""
    return _NOT_FOR_TERMINALS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _grown(root: Branch) -> Tree:
    tree = Tree(Text(readable(root.line), STYLES.get(root.status, "")))
    for branch in root.branches:
        tree.children.append(_grown(branch))
    return tree


def _styled(value: object) -> Text:
    return Text(for_people(value), STYLES.get(str(value), ""))
