"""Markdown in a terminal: it may change how a text looks, and never what it says."""

from __future__ import annotations

from markdown_it import MarkdownIt
from rich.console import RenderableType
from rich.markdown import Markdown
from rich.text import Text

DEEPEST = 19
"""The level from which on the parser leaves text out."""

_PARSER = (
    MarkdownIt("commonmark", {"html": False})
    .enable(["strikethrough", "table"])
    # What is drawn of these is less than what was written: addresses would be missing.
    .disable(["reference", "image"])
)
"""HTML is text here: `List<String>` is more often meant than a tag."""


def drawn(text: str) -> RenderableType:
    """Markdown, or the text as it was written where that would lose some of it."""
    markdown = Markdown("", hyperlinks=False)
    markdown.parsed = _PARSER.parse(text)
    if any(token.level >= DEEPEST for token in markdown.parsed):
        return Text(text)
    return markdown
