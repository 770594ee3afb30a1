"""An agent file, and the agents that are made from it."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import decode_source
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from myagent.agent import Agent
from myagent.foreign import ForeignAgent, is_foreign_agent
from myagent.models.openai import OpenAIModel
from myagent.runnable import Runnable
from myagent.sentence import Sentence
from myagent.tool.running import described

SAID_LIMIT = 500
"""Characters of an exception's own words in a sentence."""

_numbers = count(1)


class AgentFileError(Exception):
    """The agent file could not be loaded, or gave no agent.

    The message is one sentence that names the file; the cause, if there is
    one, is the exception with its traceback.
    """


@dataclass(frozen=True)
class AgentFile:
    """A loaded agent file: a source of agents.

    `source` is its module-level `agent`, or its factory `create_agent`.
    """

    path: Path
    source: Any
    is_factory: bool

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def agent_name(self) -> str:
        """The name that the agent gives itself; of a factory's agents the file's."""
        name = None if self.is_factory else getattr(self.source, "name", None)
        return name if isinstance(name, str) and name else self.name

    def prepare(self) -> None:
        """Does ahead of the first question what would slow it down: slow imports."""
        if isinstance(self.source, Agent):
            model = self.source.chat_model
            if isinstance(model, OpenAIModel):
                model.prepare()

    async def create(self) -> Runnable:
        """An agent of its own for one session. Raises `AgentFileError`.

        The factory is called, or the definition copied: the copy shares its
        tools and its model.
        """
        if not self.is_factory:
            return as_runnable(self._copied(), self.path)
        try:
            agent = self.source()
            if inspect.isawaitable(agent):
                agent = await agent
        except (Exception, SystemExit) as error:
            raise AgentFileError(
                Sentence(
                    "{place}: create_agent() raised {reason}.",
                    place=_place(self.path, _line(error, self.path)),
                    reason=_said(error),
                )
            ) from error
        return as_runnable(agent, self.path, is_made=True)

    def _copied(self) -> Any:
        if inspect.isroutine(self.source):
            return self.source
        try:
            return copy.copy(self.source)
        except Exception as error:
            raise AgentFileError(
                Sentence(
                    "{file}: the agent can't be copied for a session ({reason}); write a "
                    "create_agent() that makes one.",
                    file=self.path,
                    reason=_said(error),
                )
            ) from error


def load_agent_file(path: Path | str) -> AgentFile:
    """Runs an agent file and finds its agent. Raises `AgentFileError`.

    The file is run as a module, so its `if __name__ == "__main__"` block is
    not; its folder is put on `sys.path`, so that it can import its
    neighbours. A module-level `agent` that is an agent is taken first, then
    the factory `create_agent`.
    """
    file = Path(path).expanduser()
    code = _compiled(file, _source(file))
    return _agent_in(_run(code, file.resolve()), file)


def _source(file: Path) -> bytes:
    if file.is_dir():
        raise AgentFileError(
            Sentence("{file} is a directory; name the agent file in it.", file=file)
        )
    if not file.exists():
        raise AgentFileError(Sentence("{file}: there is no such file.", file=file))
    if file.suffix != ".py":
        raise AgentFileError(
            Sentence("{file} is not a Python file: its name must end in .py.", file=file)
        )
    try:
        return file.read_bytes()
    except OSError as error:
        raise AgentFileError(
            Sentence("{file} can't be read: {reason}.", file=file, reason=error.strerror)
        ) from error


def _compiled(file: Path, source: bytes) -> CodeType:
    if b"\0" in source:
        raise AgentFileError(
            Sentence("{file} is not a Python file: it holds binary data.", file=file)
        )
    try:
        text = decode_source(source)
        return compile(text, str(file.resolve()), "exec", dont_inherit=True)
    except SyntaxError as error:
        place = _place(file, error.lineno)
        raise AgentFileError(
            Sentence("{place}: syntax error: {reason}.", place=place, reason=error.msg)
        ) from error
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise AgentFileError(
            Sentence("{file} can't be read as Python: {reason}.", file=file, reason=_said(error))
        ) from error


def _run(code: CodeType, file: Path) -> ModuleType:
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = ModuleType(f"_agent_file_{next(_numbers)}_{file.stem}")
    module.__file__ = str(file)
    # Dataclasses and pickle look a class's module up here.
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise AgentFileError(_failure(error, _place(file, _line(error, file)))) from error
    return module


def _said(error: BaseException) -> str:
    """What an error says, on one line and without a full stop."""
    return " ".join(described(error).split())[:SAID_LIMIT].rstrip(".")


def _failure(error: BaseException, place: str) -> Sentence:
    match error:
        case ModuleNotFoundError(name=str() as name):
            return Sentence(
                "{place}: it imports {name}, which is not installed and not next to the file.",
                place=place,
                name=repr(name),
            )
        case ImportError():
            reason = _said(error)
            return Sentence("{place}: an import failed: {reason}.", place=place, reason=reason)
        case SystemExit():
            return Sentence(
                "{place}: it ended the program (SystemExit) while it was loaded.", place=place
            )
    return Sentence(
        "{place}: it raised {reason} while it was loaded.", place=place, reason=_said(error)
    )


def _place(file: Path, line: int | None) -> str:
    return Sentence("{file}, line {line}", file=file, line=line) if line else str(file)


def _line(error: BaseException, file: Path) -> int | None:
    """The last line of the file that had a part in the error."""
    numbers = []
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(file.resolve()):
            numbers.append(traceback.tb_lineno)
        traceback = traceback.tb_next
    return numbers[-1] if numbers else None


def _agent_in(module: ModuleType, file: Path) -> AgentFile:
    agent = getattr(module, "agent", None)
    factory = getattr(module, "create_agent", None)
    if agent is not None and (factory is None or _is_agent(agent)):
        as_runnable(agent, file)
        return AgentFile(file, agent, is_factory=False)
    if factory is not None:
        _check_factory(factory, file)
        return AgentFile(file, factory, is_factory=True)
    raise AgentFileError(
        Sentence(
            "{file} has no agent: give it a module-level 'agent', or a function create_agent().",
            file=file,
        )
    )


def _check_factory(factory: Callable[[], Any], file: Path) -> None:
    if not callable(factory):
        raise AgentFileError(
            Sentence(
                "{file}: 'create_agent' is {what}; it must be a function without arguments.",
                file=file,
                what=_what(factory),
            )
        )
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        raise AgentFileError(
            Sentence(
                "{file}: create_agent() is called without arguments, but it has a {what}; give it "
                "a default.",
                file=file,
                what=str(error).removeprefix("missing a "),
            )
        ) from error
    except ValueError:
        return  # A callable without a signature, written in C: calling it will show.


def _is_agent(agent: Any) -> bool:
    return _is_runnable(agent) or is_foreign_agent(agent)


def _is_runnable(agent: Any) -> bool:
    return not isinstance(agent, type) and isinstance(agent, Runnable)


def as_runnable(agent: Any, file: Path, *, is_made: bool = False) -> Runnable:
    """The agent as a service takes it. Raises `AgentFileError` if it is none.

    `is_made`: the file's `create_agent` returned it.
    """
    if isinstance(agent, Agent) or _is_runnable(agent):
        return agent  # type: ignore[no-any-return]
    if is_foreign_agent(agent):
        return ForeignAgent(agent, default_name=file.stem)
    parts = {"file": file, "what": _what(agent), "advice": _advice(agent)}
    sentence = (
        Sentence(
            "{file}: create_agent() returned {what}, which is not an agent: {advice}.", **parts
        )
        if is_made
        else Sentence("{file}: 'agent' is {what}, which is not an agent: {advice}.", **parts)
    )
    if inspect.iscoroutine(agent):
        agent.close()
    raise AgentFileError(sentence)


def _what(agent: Any) -> str:
    if agent is None:
        return "None"
    if isinstance(agent, type):
        return Sentence("the class {name}", name=agent.__name__)
    if isinstance(agent, ModuleType):
        return Sentence("the module {name}", name=agent.__name__)
    if inspect.isroutine(agent):
        return Sentence("the function {name}()", name=agent.__name__)
    return Sentence("an object of type {name}", name=type(agent).__name__)


def _advice(agent: Any) -> str:
    if isinstance(agent, type):
        return Sentence("make one of it, as in agent = {name}()", name=agent.__name__)
    if inspect.iscoroutine(agent):
        return Sentence("write an 'async def create_agent()', which is awaited")
    if inspect.isroutine(agent):
        return Sentence("write it as 'async def' with the text as its argument")
    return Sentence("use create_react_agent(), or an object with arun(text) or astream(text)")
