"""Markdown in a terminal: it may change how a text looks, but never what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import RenderableType
from rich.markdown import Markdown
from rich.text import Text

DEEPEST = 19
"""The nesting level from which on the parser leaves text out."""

_PARSER = (
    MarkdownIt("commonmark", {"html": False})
    .enable(["strikethrough", "table"])
    # Rendering these would leave out a part of the text, such as addresses.
    .disable(["reference", "image"])
)
"""HTML is treated as text: `List<String>` is more often meant than a tag."""


_SEPARATORS = re.compile(r"[\s|\\]")
"""What stands between cells, in them or not."""


def drawn(text: str) -> RenderableType:
    """Rendered Markdown, or the text as written if rendering would lose some of it."""
    markdown = Markdown("", hyperlinks=False)
    tokens = _PARSER.parse(text)
    if any(token.level >= DEEPEST for token in tokens):
        return Text(text)
    markdown.parsed = list(_with_whole_tables(tokens, text))
    return markdown


def _with_whole_tables(tokens: Sequence[Token], text: str) -> Iterator[Token]:
    """The tokens; a table that lacks some of its source is that source instead.

    Markdown leaves out cells beyond those of the head.
    """
    lines: list[str] = []
    quotes = at = 0
    while at < len(tokens):
        token = tokens[at]
        quotes += token.nesting * token.type.startswith("blockquote_")
        end = at + 1
        if token.type == "table_open":
            end = _end_of_table(tokens, at)
            lines = lines or text.split("\n")
            if not all(_is_whole(row, lines, quotes) for row in _rows(tokens[at:end])):
                yield from _as_written(lines[slice(*(token.map or ()))])
                at = end
                continue
        yield from tokens[at:end]
        at = end


def _end_of_table(tokens: Sequence[Token], at: int) -> int:
    return next(n for n in range(at, len(tokens)) if tokens[n].type == "table_close") + 1


def _rows(table: Sequence[Token]) -> Iterator[list[Token]]:
    """The cells of each row below the head."""
    row: list[Token] = []
    is_head = True
    for token in table:
        if token.type == "inline":
            row.append(token)
        elif token.type == "tr_close":
            if not is_head:
                yield row
            row, is_head = [], False


def _is_whole(cells: Sequence[Token], lines: Sequence[str], quotes: int) -> bool:
    """Whether the cells have all that their line has, but for what separates them.

    `quotes`: the number of `>` before the line.
    """
    if not cells or cells[0].map is None:
        return True
    source = _SEPARATORS.sub("", lines[cells[0].map[0]])
    kept = _SEPARATORS.sub("", "".join(cell.content for cell in cells))
    return len(source) <= len(kept) + quotes


def _as_written(lines: Sequence[str]) -> Iterator[Token]:
    """The lines as a paragraph."""
    yield Token("paragraph_open", "p", 1)
    for place, line in enumerate(lines):
        if place:
            yield Token("hardbreak", "br", 0)
        yield Token("text", "", 0, content=line)
    yield Token("paragraph_close", "p", -1)
