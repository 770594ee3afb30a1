"""A folder that holds nothing but the SDK, for interpreters that have it not installed."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def sdk_folder(var_dir: Path) -> Path:
    """Creates or repairs `var_dir/sdk`, in which `myagent` is a symlink to this package.

    So nothing that lies beside the package, such as the site's packages, gets onto the path with
    it. Several processes may call this at once. Raises `OSError`.
    """
    folder = var_dir.resolve() / "sdk"
    link = folder / PACKAGE.name
    if not _leads_to_package(link):
        folder.mkdir(parents=True, exist_ok=True)
        # Beside the folder: at no time does it hold anything else.
        new = folder.with_name(f".sdk-{secrets.token_hex(8)}")
        new.symlink_to(PACKAGE, target_is_directory=True)
        try:
            os.replace(new, link)
        except OSError:
            new.unlink()
            raise
    return folder


def _leads_to_package(link: Path) -> bool:
    try:
        return os.readlink(link) == str(PACKAGE)
    except OSError:
        return False
