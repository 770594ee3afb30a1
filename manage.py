#!/usr/bin/env python3
"""Runs the site's commands: `manage.py help` lists them."""

import os
import sys
from pathlib import Path

if sys.flags.safe_path:
    # Without -P Python puts the folder of its program there itself.
    sys.path.insert(0, str(Path(__file__).resolve().parent))


def main() -> None:
    from agents.runtime.garbage import collect_less, leave_to_system

    collect_less()
    leave_to_system()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myagent_site.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ModuleNotFoundError as error:
        from myagent.manager.cli.missing import how_to_install

        sys.exit(how_to_install(error))
    from agents.runtime.imports import import_structlog

    import_structlog()
    from agents.runtime import logs
    from agents.terminal.encoding import accept_any_text

    accept_any_text()
    logs.set_up_for_commands()
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"The settings are wrong: {error}")


if __name__ == "__main__":
    main()
