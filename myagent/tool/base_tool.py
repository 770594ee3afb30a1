"""What a tool's author writes: a tool, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class ToolDefinitionError(ValueError):
    """A tool is written in a way that can't work; the message says what to change."""


@dataclass(slots=True)
class ToolResult:
    """A tool's result: `output=…`, or `error=…`, or `success=…` with `content=…`.

    `success` decides when it is given; else a result with an `error` failed.
    """

    output: Any = None
    error: Any = None
    success: bool | None = None
    content: Any = None

    @property
    def is_error(self) -> bool:
        if self.success is not None:
            return not self.success
        return self.error is not None and self.error != ""

    @property
    def parts(self) -> tuple[Any, ...]:
        """What there is to tell, the reason of a failure first."""
        values = (
            (self.error, self.content, self.output)
            if self.is_error
            else (
                self.content,
                self.output,
            )
        )
        return tuple(value for value in values if value is not None)


class BaseTool:
    """A tool: set `name` and `description`, write `execute`.

    `execute` is an `async def`, or a plain `def`, which runs in a thread of
    its own. Its arguments come by name. It returns a `ToolResult` or anything
    else, which becomes the output; whatever it raises becomes a tool error
    that the model is told.

    `parameters` is a JSON schema of type object; without it, it is made from
    `execute`'s signature and type hints, and the arguments are converted to
    the hinted types. `idempotent`: running it twice does what running it once
    does, so it may run again after a crash. `requires_confirmation`: somebody
    has to say yes before each call, within `confirm_timeout_s` seconds.
    `timeout_s`: seconds a call may take, None for no limit.
    """

    name: str = ""
    description: str = ""
    parameters: dict[str, Any] | None = None
    idempotent: bool = False
    requires_confirmation: bool = False
    confirm_timeout_s: float = 300.0
    timeout_s: float | None = 60.0

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no execute()")
