"""What is wrong with an agent file, in sentences for its author. No I/O."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from myagent.agent_env import is_of_a_site
from myagent.lacking import lacking_requirement
from myagent.sentence import Sentence
from myagent.tool.failures import said


def why_it_failed(error: BaseException, place: str) -> Sentence:
    """Why it could not be run; `place` is the file, and the line if it is known."""
    if requirement := lacking_requirement(error):
        return Sentence(
            "{place}: it needs {requirement}, which its environment lacks; {command} installs it.",
            place=place,
            requirement=requirement,
            command=f"{sys.executable} -m pip install '{requirement}'",
        )
    if variable := lacking_variable(error):
        return _lacks_variable(place, variable)
    match error:
        case ModuleNotFoundError(name=str() as name):
            return Sentence(
                "{place}: it imports {name}, which is not installed and not next to the file.",
                place=place,
                name=repr(name),
            )
        case ImportError():
            reason = said(error)
            return Sentence("{place}: an import failed: {reason}.", place=place, reason=reason)
        case SystemExit():
            return Sentence(
                "{place}: it ended the program (SystemExit) while it was loaded.", place=place
            )
    return Sentence(
        "{place}: it raised {reason} while it was loaded.", place=place, reason=said(error)
    )


def lacking_variable(error: BaseException) -> str | None:
    """The environment variable, if the error comes from looking it up in `os.environ`."""
    traceback = error.__traceback__
    if not isinstance(error, KeyError) or traceback is None:
        return None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    frame = traceback.tb_frame
    is_looked_up = frame.f_locals.get("self") is os.environ
    return str(error.args[0]) if is_looked_up and error.args else None


def _lacks_variable(place: str, name: str) -> Sentence:
    if is_of_a_site(name):
        return Sentence(
            "{place}: it needs the environment variable {name}, which is a setting of the site: "
            "no agent gets it. Give it another name.",
            place=place,
            name=name,
        )
    return Sentence(
        "{place}: it needs the environment variable {name}, which is not set. Set it in the file "
        ".env beside it; for a service, also with {option}, or with MYAGENT_PASS_ENV={name} if the "
        "supervisor's environment has it.",
        place=place,
        name=name,
        option=f"--env {name}=…",
    )


def place_in(file: Path, line: int | None) -> str:
    """The file, with the line if it is known."""
    return Sentence("{file}, line {line}", file=file, line=line) if line else str(file)


def line_of(error: BaseException, file: Path) -> int | None:
    """The last line of the file in the error's traceback."""
    numbers = []
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(file.resolve()):
            numbers.append(traceback.tb_lineno)
        traceback = traceback.tb_next
    return numbers[-1] if numbers else None


def what_it_is(agent: Any) -> str:
    """An object that was taken for an agent."""
    if agent is None:
        return "None"
    if isinstance(agent, type):
        return Sentence("the class {name}", name=agent.__name__)
    if isinstance(agent, ModuleType):
        return Sentence("the module {name}", name=agent.__name__)
    if inspect.isroutine(agent):
        return Sentence("the function {name}()", name=agent.__name__)
    return Sentence("an object of type {name}", name=type(agent).__name__)


def advice_on(agent: Any) -> str:
    """How to make an agent of it."""
    if isinstance(agent, type):
        return Sentence("make one of it, as in agent = {name}()", name=agent.__name__)
    if inspect.iscoroutine(agent):
        return Sentence("write an 'async def create_agent()', which is awaited")
    if inspect.isroutine(agent):
        return Sentence(
            "write it as 'async def' with the text as its argument; if it blocks, as the method "
            "arun(text) of an object, which runs in a thread"
        )
    return Sentence("use create_react_agent(), or an object with arun(text) or astream(text)")
