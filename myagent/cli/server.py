"""`myagent-ws server FILE …`, and `python -m myagent.cli.server FILE …`: the site's `runagent`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

USAGE = """\
`myagent-ws server FILE` serves an agent file over WebSocket.

  myagent-ws server my_agent.py --host 0.0.0.0 --port 8080 --debug

`myagent-ws server --help` lists the options.
"""

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line `arguments`, by default the process's own; may raise `SystemExit`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        sys.stderr.write(USAGE)
        sys.exit(USAGE_ERROR)
    if given in (["-h"], ["--help"], ["help"]):
        sys.stdout.write(USAGE)
        return
    if given[0] == "server":
        del given[0]
    elif not _may_be_agent_file(given[0]):
        sys.stderr.write(f"There is no command {given[0]!r}.\n\n{USAGE}")
        sys.exit(USAGE_ERROR)
    _run_agent(given)


def _may_be_agent_file(argument: str) -> bool:
    return argument.startswith("-") or argument.endswith(".py") or os.path.exists(argument)


def _run_agent(arguments: list[str]) -> None:
    # The SDK knows no Django: only this command, which sits on top of the site, needs it.
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import ManagementUtility

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myagent_site.settings")
    try:
        django.setup()
    except ImproperlyConfigured as error:
        sys.exit(f"The settings are wrong: {error}")
    command = ManagementUtility(["myagent-ws"]).fetch_command("runagent")
    command.run_from_argv(["myagent-ws", "server", *arguments])


if __name__ == "__main__":
    main()
