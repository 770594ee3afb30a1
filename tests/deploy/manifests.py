"""What the manifests name is compared with what the site has."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from django.core.management import get_commands, load_command_class

from myagent_site.options import OPTIONS
from tests.runners import ROOT

DEPLOY = ROOT / "deploy"


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """The options of a command line `python manage.py COMMAND …`; fails for unknown ones."""
    python, manage, command, *arguments = words
    assert python.rpartition("/")[2] == "python"
    assert manage == "manage.py"
    parser = load_command_class(get_commands()[command], command).create_parser(manage, command)
    return parser.parse_args(arguments)


def unknown_settings(names: Iterable[str]) -> set[str]:
    return set(names) - {option.name for option in OPTIONS}
