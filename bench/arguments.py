"""The command line that all benches have in common."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser_of(description: str | None, *, has_databases: bool = True) -> argparse.ArgumentParser:
    """With `--quick`, `--json`, and `--database` if the bench runs on several."""
    parser = argparse.ArgumentParser(description=description)
    if has_databases:
        parser.add_argument("--database", choices=("sqlite", "mariadb"), default="sqlite")
    parser.add_argument("--quick", action="store_true", help="only show that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser
