"""Markdown in a terminal: it may change how a text looks, but never what it says."""

from __future__ import annotations

from markdown_it import MarkdownIt
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


def drawn(text: str) -> RenderableType:
    """Rendered Markdown, or the text as written if rendering would lose some of it."""
    markdown = Markdown("", hyperlinks=False)
    markdown.parsed = _PARSER.parse(text)
    if any(token.level >= DEEPEST for token in markdown.parsed):
        return Text(text)
    return markdown
