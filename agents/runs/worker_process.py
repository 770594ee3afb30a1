"""What a worker is started with: its command line, its environment, and where it listens."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from agents.runs.run_folder import run_folder
from agents.runtime import systemd
from agents.runtime.var_folder import unusable
from myagent import agent_env
from myagent.sdk import sdk_folder
from myagent.sentence import Said
from myagent.worker import codec
from myagent.worker.protocol import LinkError

SECRETS = frozenset({"SECRET_KEY", "SECRET_KEY_FALLBACKS", "DATABASE_URL", "REDIS_URL"})
SECRET_PREFIXES = ("MYSQL_",)
KEYS_OF_RECEIVERS = frozenset(
    {"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"},
)
"""With them the site sends its traces. An agent that sends its own is given its own."""
OF_THE_SITE = frozenset({"DJANGO_SETTINGS_MODULE", "PYTHONPATH", systemd.ADDRESS})

PASSED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ"),
        *("TMPDIR", "TMP", "TEMP", "VIRTUAL_ENV", "PYTHONUNBUFFERED"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
        *("ALL_PROXY", "all_proxy"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    }
)
"""Variables of the site's processes that the workers of services get."""

PASSED_PREFIXES = ("LC_", "OPENAI_", "LLM_", agent_env.PREFIX_OF_MODELS)

MOST_FAILURE_BYTES = 256 * 1024
"""The largest failure file, in bytes: no worker writes a larger one."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where an instance listens, and the file with the reason why it could not be loaded."""

    socket: Path
    failure: Path

    @classmethod
    def of(cls, instance_id: str) -> Paths:
        folder = run_folder()
        return cls(folder / f"{instance_id}.sock", folder / f"{instance_id}.failure")

    @property
    def options(self) -> tuple[str, str]:
        """Of the command line of a worker that is to use them."""
        return f"--socket={self.socket}", f"--failure={self.failure}"

    def why_refused(self) -> Said:
        """The reason that the worker left in the failure file.

        Raises `OSError` and `LinkError`: the file may contain anything, of any size.
        """
        # Opening a pipe would block, and a symbolic link may lead anywhere.
        number = os.open(self.failure, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with open(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise LinkError("it is not a file")
            data = file.read(MOST_FAILURE_BYTES + 1)
        if len(data) > MOST_FAILURE_BYTES:
            raise LinkError(f"it has more than {MOST_FAILURE_BYTES} bytes")
        return codec.decode_said(data)

    def remove(self) -> None:
        for path in (self.socket, self.failure):
            path.unlink(missing_ok=True)


def command_of(file: str, instance_id: str, *options: str, python: str = "") -> list[str]:
    """The command line of a worker for an agent file. `options`: where it listens, and others."""
    return [
        python or sys.executable,
        # Its own folder is not on the import path: the agent file's is.
        "-P",
        "-m",
        "myagent.worker",
        file,
        f"--instance={instance_id}",
        *options,
    ]


def environment_for(
    file: str, environment: Mapping[str, str], given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of a worker for an agent file, including the path to the SDK.

    In order of precedence: what is `given`, this process's `environment`, the `.env` beside the
    file, and what the site's own file passes on. Settings of the site are never included. Raises
    `ImproperlyConfigured`, and `EnvFileError` for the file beside.
    """
    environment = _without_secrets(environment, KEYS_OF_RECEIVERS)
    from_site = environment.keys() & settings.FROM_ENV_FILE
    of_site = {name: environment[name] for name in from_site if is_passed(name)}
    own = {name: value for name, value in environment.items() if name not in from_site}
    own |= _without_secrets(given or {})
    # In the file `${NAME}` refers to the worker's environment, although this process reads the
    # file.
    return _with_sdk(of_site | agent_env.beside(Path(file), of_site | own) | own)


def is_passed(name: str) -> bool:
    """Whether the site passes the variable on to the workers of all services."""
    return name in PASSED or name in settings.MYAGENT_PASS_ENV or name.startswith(PASSED_PREFIXES)


def _without_secrets(
    environment: Mapping[str, str], besides: Set[str] = frozenset()
) -> dict[str, str]:
    withheld = SECRETS | OF_THE_SITE | besides
    return {
        name: value
        for name, value in environment.items()
        if name not in withheld and not name.startswith(SECRET_PREFIXES)
    }


def _with_sdk(environment: dict[str, str]) -> dict[str, str]:
    """Adds the path to the SDK. Raises `ImproperlyConfigured`."""
    var_dir = Path(settings.VAR_DIR)
    try:
        return environment | {"PYTHONPATH": str(sdk_folder(var_dir))}
    except OSError as error:
        raise unusable(var_dir, error) from error
