"""`myagent-ws server FILE …`, and `python -m myagent.cli.server FILE …`: the site's `runagent`.

`myagent-ws serve` and `myagent-ws services …` are the site's `serve` and `services`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from myagent.manager.cli.site import USAGE_ERROR, run, said
from myagent.manager.tree import find_site, leave_folder
from myagent.sentence import Sentence

USAGE = Sentence(
    """\
`myagent-ws server FILE` serves an agent file over WebSocket.

  myagent-ws server my_agent.py --host 0.0.0.0 --port 8080 --debug

  --host HOST    address to listen on (localhost)
  --port PORT    port to listen on (8080; 0 picks a free one)
  --name NAME    the service's name (the file's stem)
  --debug        log everything that happens, with tracebacks (off)
  --reload       start again when the agent file changes (off)
  --python PATH  the interpreter that runs the agent (this command's own)

`myagent-ws serve` serves the site, by default on http://localhost:8000/: its services, console,
admin and REST API.

`myagent-ws services …` registers agent files as services, and runs and watches them.

`myagent-ws server --help`, `myagent-ws serve --help` and `myagent-ws services --help` list all
options.
"""
)

SITE_COMMANDS = ("serve", "services")
"""Commands of the site that have the same names here."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line `arguments`, by default the process's own; may raise `SystemExit`."""
    find_site()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        sys.stderr.write(said(USAGE))
        sys.exit(USAGE_ERROR)
    if given in (["-h"], ["--help"], ["help"]):
        sys.stdout.write(said(USAGE))
        return
    if given[0] in SITE_COMMANDS:
        run(f"myagent-ws {given[0]}", given[0], given[1:])
        return
    if given[0] == "server":
        del given[0]
    elif not _may_be_agent_file(given[0]):
        unknown = Sentence("There is no command {name}.", name=repr(given[0]))
        sys.stderr.write(f"{said(unknown)}\n\n{said(USAGE)}")
        sys.exit(USAGE_ERROR)
    run("myagent-ws server", "runagent", given)


def _may_be_agent_file(argument: str) -> bool:
    return argument.startswith("-") or argument.endswith(".py") or os.path.exists(argument)


if __name__ == "__main__":
    leave_folder()
    main()
