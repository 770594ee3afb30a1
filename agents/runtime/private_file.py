"""A new SQLite file is for its owner alone, whoever makes it: it holds conversations."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import Any


class PrivateConnection(sqlite3.Connection):
    """Makes the file before SQLite does, which would let others read it. A `factory`."""

    def __init__(self, database: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        if not os.fspath(database).startswith(("file:", ":memory:")):
            # It exists already, or can't be created: connecting raises the better error.
            with suppress(OSError):
                os.close(os.open(database, os.O_CREAT | os.O_EXCL, 0o600))
        super().__init__(database, *args, **kwargs)
