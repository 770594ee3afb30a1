"""What a statement imports, told by an interpreter that did nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from tests.runners import ROOT


def loaded_by(statement: str, environment: Mapping[str, str] = os.environ) -> set[str]:
    """The modules that are loaded after the statement, which must not fail."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys; print(*sys.modules)"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())
