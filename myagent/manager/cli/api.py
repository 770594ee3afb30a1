"""`python -m myagent.manager.cli.api …`: the site's REST interface and pages."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from myagent.manager.cli.site import run_class, use_database
from myagent.manager.tree import find_site, leave_folder

PROGRAM = "python -m myagent.manager.cli.api"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line `arguments`, by default the process's own; may raise `SystemExit`."""
    find_site()
    given = use_database(list(sys.argv[1:] if arguments is None else arguments))
    run_class(PROGRAM, "services.serving.sides.ApiCommand", given)


if __name__ == "__main__":
    leave_folder()
    main()
