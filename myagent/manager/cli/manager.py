"""`python -m myagent.manager.cli.manager …`: the site's `services` and `supervise`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from myagent.manager.cli.site import USAGE_ERROR, run, said, use_database
from myagent.manager.tree import find_site, leave_folder
from myagent.sentence import Sentence

PROGRAM = "python -m myagent.manager.cli.manager"

USAGE = Sentence(
    """\
`{program}` registers agents as services, and runs and watches them.

  {program} register NAME FILE [--auto-start] [--tags A,B] …
  {program} start | stop | restart | unregister NAME
  {program} list | status NAME | stats [NAME] | logs NAME | health NAME
  {program} routes list | add NAME | edit NAME | enable NAME | disable NAME | remove NAME | explain
  {program} daemon

`VERB --help` lists the options of each. `daemon` is the supervisor, which starts, stops and
checks the services; without it, on SQLite, a verb that needs one starts it in the background.
--db-path FILE, before or after the verb, names an SQLite file instead of the site's database.
""",
    program=PROGRAM,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line `arguments`, by default the process's own; may raise `SystemExit`."""
    find_site()
    given = use_database(list(sys.argv[1:] if arguments is None else arguments))
    if not given:
        sys.stderr.write(said(USAGE))
        sys.exit(USAGE_ERROR)
    if given[0] in ("-h", "--help", "help"):
        sys.stdout.write(said(USAGE))
    elif given[0] == "daemon":
        run(f"{PROGRAM} daemon", "supervise", given[1:])
    else:
        run(PROGRAM, "services", given)


if __name__ == "__main__":
    leave_folder()
    main()
