"""The last lines of content that may be taller than the terminal."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment


class Tail:
    """Draws the last `most` lines."""

    def __init__(self, content: RenderableType, most: int) -> None:
        self._content = content
        self._most = most

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._content, options.update(height=None), pad=False)
        for line in lines[-self._most :]:
            yield from line
            yield Segment.line()
