"""What a worker is as a job of a Ray cluster: its command, its files, and where it may run.

Values in, values out: nothing here knows Ray.
"""

from __future__ import annotations

import math
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.translation import gettext_noop

from services.supervision.launchers import ConfigurationRefused, LaunchSpec

PREFIX = "ray:"
"""Tags of a service that begin so say which nodes it may run on."""

SHARE = 0.001
"""The share of a node's custom resource that a worker takes: it marks nodes, and is not used up."""

LEFT_OUT = (
    ".env",
    ".git",
    ".venv",
    "venv",
    "node_modules",
    "__pycache__",
    "var",
    "*.db",
    "*.sqlite3",
)
"""What is not uploaded from an agent file's folder; what `.gitignore` names is not either."""

KILL_AFTER_S = 3
"""Seconds from SIGTERM to SIGKILL when a job is stopped: its worker was asked to leave before."""

MARK = "myagent_site"
"""By this name the metadata of a job have its site's mark."""

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RayOptions:
    """The site's settings for its workers on Ray.

    `runtime_env`: Ray's own description of the surroundings of a job. `is_uploaded`: whether the
    folder of the agent file, and the SDK, are sent to the nodes; else they have both already.
    `mark` says whose the job is, to those who know it; '' leaves jobs without one.
    """

    cpus: float = 1.0
    runtime_env: Mapping[str, Any] = field(default_factory=dict)
    is_uploaded: bool = True
    mark: str = ""


def job_of(spec: LaunchSpec, options: RayOptions) -> dict[str, Any]:
    """The arguments of `submit_job` for a worker. Raises `ConfigurationRefused`."""
    needs = needs_of(spec.tags, options.cpus)
    runtime_env = dict(options.runtime_env)
    variables = {
        **_of_the_job(spec.environment),
        # Ray reads it when it stops the job.
        "RAY_JOB_STOP_WAIT_TIME_S": str(KILL_AFTER_S),
    }
    runtime_env["env_vars"] = {**runtime_env.get("env_vars", {}), **variables}
    file = Path(spec.command[AGENT_FILE])
    if options.is_uploaded:
        runtime_env |= _files(file, Path(spec.environment["PYTHONPATH"]), runtime_env)
    return {
        "submission_id": spec.instance_id,
        "entrypoint": _entrypoint(spec, file.name if options.is_uploaded else str(file)),
        "runtime_env": runtime_env,
        "metadata": {MARK: options.mark} if options.mark else None,
        "entrypoint_num_cpus": needs.cpus,
        "entrypoint_num_gpus": needs.gpus or None,
        "entrypoint_memory": spec.memory_limit_mb and spec.memory_limit_mb * MEGABYTE,
        "entrypoint_resources": dict.fromkeys(needs.resources, SHARE) or None,
    }


@dataclass(frozen=True, slots=True)
class Needs:
    """What a node must have for a worker. `resources`: names of the node's custom resources."""

    cpus: float
    gpus: float = 0.0
    resources: Sequence[str] = ()


def needs_of(tags: Iterable[str], cpus: float) -> Needs:
    """`ray:cpus:0.5`, `ray:gpus:1` and `ray:NAME`; other tags mean nothing here.

    `cpus` holds if no tag says another number. Raises `ConfigurationRefused`.
    """
    gpus, resources = 0.0, []
    for tag in tags:
        if not tag.startswith(PREFIX):
            continue
        match tag.removeprefix(PREFIX).split(":"):
            case ["cpus", number]:
                cpus = _number(tag, number)
            case ["gpus", number]:
                gpus = _number(tag, number)
            case [name] if name:
                resources.append(name)
            case _:
                raise _refused(tag)
    return Needs(cpus, gpus, tuple(resources))


INTERPRETER, AGENT_FILE = 0, 4
"""Places in the command line of a worker, see `agents.runs.worker_process.command_of`."""


def _entrypoint(spec: LaunchSpec, file: str) -> str:
    """A line for the shell: the worker replaces that, so that signals reach it."""
    command = list(spec.command)
    if command[INTERPRETER] == sys.executable:
        command[INTERPRETER] = "python"  # This machine's: nodes have their own.
    command[AGENT_FILE] = file
    # The variable repeats the whole environment of the job.
    run = "exec env -u RAY_JOB_CONFIG_JSON_ENV_VAR " + shlex.join(command)
    if spec.most_memory_mb is None:
        return run
    return f"ulimit -d {spec.most_memory_mb * 1024}; {run}"


def _of_the_job(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what is only true on this machine: its paths, its users."""
    return {
        name: value
        for name, value in environment.items()
        if name != "PYTHONPATH" and not (name in LOCAL and os.environ.get(name) == value)
    }


LOCAL = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "VIRTUAL_ENV", "TMPDIR", "TMP", "TEMP"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    }
)
"""Variables that mean something else on other machines, unless a service sets them itself."""


def _files(file: Path, sdk: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "working_dir": str(file.resolve().parent),
        "py_modules": [*given.get("py_modules", []), str((sdk / "myagent").resolve())],
        "excludes": [*given.get("excludes", []), *LEFT_OUT],
    }


def _number(tag: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 10_000:
        raise _refused(tag)
    return number


def _refused(tag: str) -> ConfigurationRefused:
    return ConfigurationRefused(
        gettext_noop("The tag '{tag}' is none of ray:NAME, ray:cpus:NUMBER and ray:gpus:NUMBER."),
        tag=tag,
    )
