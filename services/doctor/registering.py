"""Judges what the network may register: agent files of which folders, with which variables.

No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_noop

from services.doctor.finding import Finding, fine, problem, warning

RUNNING_CODE = (
    *("PATH", "PYTHON*", "LD_*", "DYLD_*", "GLIBC_TUNABLES", "GCONV_PATH"),
    *("BASH_ENV", "BASH_FUNC_*", "SHELLOPTS", "PERL5LIB", "PERL5OPT", "RUBYLIB", "RUBYOPT"),
    *("NODE_OPTIONS", "NODE_PATH", "JAVA_TOOL_OPTIONS"),
    *("OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES"),
)
"""Variables by which an interpreter, a loader, a shell or a library loads code or files."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One of MYAGENT_AGENT_DIRS. `resolved`: where it is for this process."""

    written: str
    resolved: str
    is_folder: bool = True
    is_relative: bool = False
    is_open_to_all: bool = False


def judge_folders(folders: Sequence[Folder]) -> Iterator[Finding]:
    faults = [fault for folder in folders for fault in _faults_of(folder)]
    yield from faults
    if not faults:
        yield fine(
            "agent_dirs",
            gettext_noop("Folders of which REST and the admin may register files: {folders}."),
            folders=", ".join(folder.written for folder in folders) or "-",
        )


def _faults_of(folder: Folder) -> Iterator[Finding]:
    values = {"folder": folder.written, "resolved": folder.resolved}
    if folder.resolved == "/":
        yield problem(
            "agent_dirs",
            gettext_noop("MYAGENT_AGENT_DIRS has the root: any file here can be run over REST."),
            gettext_noop("Name the folder with your agent files alone."),
            **values,
        )
    elif not folder.is_folder:
        yield warning(
            "agent_dirs",
            gettext_noop("MYAGENT_AGENT_DIRS has {folder}, which is no folder that can be read."),
            gettext_noop("Make it, write its name as it is, or take it out."),
            **values,
        )
    if folder.is_relative:
        yield warning(
            "agent_dirs",
            gettext_noop(
                "MYAGENT_AGENT_DIRS has {folder}, which depends on where a server is started: here "
                "it is {resolved}."
            ),
            gettext_noop("Write the whole path, from / on."),
            **values,
        )
    if folder.is_open_to_all:
        yield problem(
            "agent_dirs",
            gettext_noop("Every user of this machine may replace files in {resolved}."),
            gettext_noop("chmod o-w {resolved}, or name another folder in MYAGENT_AGENT_DIRS."),
            **values,
        )


def judge_variables(allowed: Sequence[str]) -> Iterator[Finding]:
    """`allowed`: names, or prefixes with `*` at the end."""
    reaching = {name: reached for name in allowed if (reached := what_it_reaches(name))}
    for name, reached in reaching.items():
        yield problem(
            "env_allowed",
            gettext_noop(
                "MYAGENT_ENV_ALLOWED has {name}: with {reached} people run code of their own as "
                "the site's user."
            ),
            gettext_noop("Name the variables that agents need, or a prefix that is theirs alone."),
            name=name,
            reached=", ".join(reached[:3]),
        )
    if not reaching:
        yield fine(
            "env_allowed",
            gettext_noop("Variables that REST and the admin may set: {names}."),
            names=", ".join(allowed) or "-",
        )


def what_it_reaches(allowed: str) -> list[str]:
    """Those of `RUNNING_CODE` that a name or prefix allows, in whole or in part."""
    return [name for name in RUNNING_CODE if _overlap(allowed, name)]


def _overlap(one: str, other: str) -> bool:
    stem, other_stem = one.removesuffix("*"), other.removesuffix("*")
    return (
        stem == other_stem
        or (one.endswith("*") and other_stem.startswith(stem))
        or (other.endswith("*") and stem.startswith(other_stem))
    )
