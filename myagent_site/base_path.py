"""The form of `MYAGENT_BASE_PATH`. No I/O."""

from __future__ import annotations

import re

FORM = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


def normalized(text: str) -> str:
    """Empty, or with a slash at its beginning and none at its end. Raises `ValueError`."""
    path = f"/{text.strip().strip('/')}".rstrip("/")
    # A browser takes `//host/` for another host.
    if "//" in text or not FORM.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError(
            "MYAGENT_BASE_PATH must be a path of letters, digits, `.`, `_`, `~` and `-`, as in "
            f"/agents/, not {text!r}."
        )
    return path
