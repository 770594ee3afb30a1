"""Short commands of a site that tests look at from within, as they end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.databases import copy_migrated
from tests.runners import ROOT


def said_by(program: str, folder: Path) -> str:
    """Standard output of the Python program beside a migrated database; it has to succeed."""
    copy_migrated(folder / "site.db")
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ
        | {"DATABASE_URL": f"sqlite:///{folder}/site.db", "MYAGENT_VAR_DIR": str(folder)}
        | {"MYAGENT_ENV_FILE": os.devnull, "SECRET_KEY": "for tests only"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
