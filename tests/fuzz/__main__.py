"""`python -m tests.fuzz TARGET --minutes N`: searches for an input that a reader fails at.

It needs atheris (`pip install -e .[fuzz]`), and goes on from what it has learnt before, which is
kept in `--corpus`. An input at which it fails is written there too, and shown: it becomes a test.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", help="its name in targets.py; 'list' shows them")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--corpus", type=Path, default=Path("var/fuzz"), help="(%(default)s)")
    parser.add_argument("--longest", type=int, default=4096, help="bytes of an input")
    given = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    atheris = _atheris()
    # Only what is imported here is looked into: the project, and not its libraries.
    with atheris.instrument_imports(include=["myagent", "agents", "services", "traces"]):
        import django
        import structlog

        django.setup()
        # What a refusal is logged as takes longer than the refusal.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        logging.disable()
        from tests.fuzz.mutating import mutated
        from tests.fuzz.targets import SEEDS, TARGETS

        if given.target not in TARGETS:
            sys.exit("The targets are: " + ", ".join(TARGETS))
        for seed in SEEDS[given.target]:
            # What a target imports itself is imported now, and looked into too.
            TARGETS[given.target](seed)
    folder: Path = given.corpus / given.target
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[given.target]):
        (folder / f"seed-{number}").write_bytes(seed)
    options = [
        sys.argv[0],
        f"-max_total_time={round(given.minutes * 60)}",
        f"-max_len={given.longest}",
        f"-artifact_prefix={folder}/failed-",
        "-timeout=20",
        "-print_final_stats=1",
        str(folder),
    ]

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        if seed % 2:
            return mutated(data, seed)[:longest]
        return bytes(atheris.Mutate(data, longest))

    atheris.Setup(options, TARGETS[given.target], custom_mutator=mutate)
    atheris.Fuzz()


def _atheris() -> Any:
    try:
        import atheris
    except ImportError:
        sys.exit("This needs atheris: .venv/bin/pip install -e '.[fuzz]', see CONTRIBUTING.md.")
    return atheris


if __name__ == "__main__":
    main()
