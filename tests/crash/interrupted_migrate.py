"""`migrate`, interrupted before and after each statement once, and restarted until it is finished.

A program of its own: it needs the settings of the database that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django


class Interrupted(BaseException):
    """Like a kill: nothing handles it."""


def main() -> None:
    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from agents.runtime.migrating import Progress

    carry_out, passed = Progress.execute, set[tuple[str, str]]()

    def interrupt(point: tuple[str, str]) -> None:
        if point not in passed:
            passed.add(point)
            raise Interrupted

    def execute(self: Progress, statement: str, act: Callable[[], Any]) -> None:
        def interrupted() -> None:
            interrupt(("before", statement))
            act()
            interrupt(("after", statement))

        carry_out(self, statement, interrupted)

    Progress.execute = execute  # type: ignore[method-assign]
    while True:
        try:
            call_command("migrate", interactive=False, verbosity=0)
            break
        except Interrupted:
            connection.close()
    print(len(passed))


if __name__ == "__main__":
    main()
