"""An agent file, and the agents that are made from it.

Longer than other modules by its sentences: each thing that can be wrong with a file has one.
"""

from __future__ import annotations

import copy
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from io import BytesIO, IncrementalNewlineDecoder
from itertools import count
from pathlib import Path
from tokenize import detect_encoding
from types import CodeType, ModuleType
from typing import Any

from myagent.agent import Agent
from myagent.file_failures import (
    advice_on,
    lacking_variable,
    line_of,
    place_in,
    what_it_is,
    why_it_failed,
)
from myagent.foreign import ForeignAgent, is_foreign_agent
from myagent.lacking import LOOKED_FOR, lacking_requirement
from myagent.models.openai import OpenAIModel
from myagent.runnable import Runnable
from myagent.sentence import Sentence
from myagent.tool.failures import said

MAIN_OF_CHILDREN = "__mp_main__"
"""What `multiprocessing` calls the main program's file in the processes that it starts."""

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
        """Does slow imports in advance, which would otherwise delay the first question.

        Raises `AgentFileError` if the environment lacks a package that they need.
        """
        model = self.source.chat_model if isinstance(self.source, Agent) else None
        if not isinstance(model, OpenAIModel):
            return
        try:
            model.prepare()
        except ImportError as error:
            raise AgentFileError(why_it_failed(error, str(self.path))) from error

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
            place = place_in(self.path, line_of(error, self.path))
            if lacking_requirement(error) or lacking_variable(error):
                raise AgentFileError(why_it_failed(error, place)) from error
            raise AgentFileError(
                Sentence(
                    "{place}: create_agent() raised {reason}.", place=place, reason=said(error)
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
                    reason=said(error),
                )
            ) from error


def load_agent_file(path: Path | str) -> AgentFile:
    """Runs an agent file and finds its agent. Raises `AgentFileError`.

    The file is run as a module, so its `if __name__ == "__main__"` block is
    not; its folder is put on `sys.path`, so that it can import its
    neighbours. A module-level `agent` that is an agent is taken first, then
    the factory `create_agent`.

    The module is known by the file's stem, so that pickle, and with it the
    processes that an agent spawns, find it. Where the stem is taken – by the
    standard library, an installed package, a module that is loaded already –
    it is `__mp_main__` if the file is this process's main program (see
    `myagent.worker.surroundings`), else a name of its own that nothing imports.
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
        text = _decoded(source)
        return compile(text, str(file.resolve()), "exec", dont_inherit=True)
    except SyntaxError as error:
        place = place_in(file, error.lineno)
        raise AgentFileError(
            Sentence("{place}: syntax error: {reason}.", place=place, reason=error.msg)
        ) from error
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise AgentFileError(
            Sentence("{file} can't be read as Python: {reason}.", file=file, reason=said(error))
        ) from error


def _decoded(source: bytes) -> str:
    """As Python itself reads a source. Raises `SyntaxError` and `ValueError`."""
    encoding, _ = detect_encoding(BytesIO(source).readline)
    return IncrementalNewlineDecoder(None, translate=True).decode(source.decode(encoding))


def _run(code: CodeType, file: Path) -> ModuleType:
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = _new_module(_module_name(file), file)
    # Dataclasses and pickle look a class's module up here.
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise AgentFileError(why_it_failed(error, place_in(file, line_of(error, file)))) from error
    return module


def _new_module(name: str, file: Path) -> ModuleType:
    spec = spec_from_file_location(name, file)
    assert spec is not None, "a name that ends in .py has a loader"
    return module_from_spec(spec)


def _module_name(file: Path) -> str:
    if not is_name_taken(file):
        return file.stem
    main = sys.modules["__main__"]
    if getattr(main, "__file__", None) == str(file):
        # Once imported it no longer gives the name to `__main__`.
        import multiprocessing  # noqa: F401

        if sys.modules.get(MAIN_OF_CHILDREN, main) is main:
            return MAIN_OF_CHILDREN
    return f"_agent_file_{next(_numbers)}_{file.stem}"


def is_name_taken(file: Path) -> bool:
    """Whether the stem of a file (a resolved path) is no name for its module.

    That is so if anything else is known by it.
    """
    name = file.stem
    if "." in name or name in sys.modules or name in sys.stdlib_module_names | LOOKED_FOR:
        return True
    elsewhere = [entry for entry in sys.path if os.path.realpath(entry) != str(file.parent)]
    for finder in sys.meta_path:
        if finder is PathFinder:
            spec = PathFinder.find_spec(name, elsewhere)
        else:
            spec = finder.find_spec(name, None)
        # A folder that merely has the name has no loader, and loses to the file.
        if spec is not None and spec.loader is not None:
            return True
    return False


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
                what=what_it_is(factory),
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
    parts = {"file": file, "what": what_it_is(agent), "advice": advice_on(agent)}
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
