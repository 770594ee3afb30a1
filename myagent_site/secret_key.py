"""The installation's secret key: generated once, readable only by its owner."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def of_installation(var_dir: Path, *, may_generate: bool, is_kept: bool = True) -> str:
    """The stored key, or a new one, which is stored unless `is_kept` is false.

    Raises `ImproperlyConfigured` if there is none and none may be generated or kept.
    """
    path = var_dir / "secret_key"
    try:
        if key := _kept(path):
            return key
        if may_generate and not is_kept:
            return secrets.token_urlsafe(50)
        return _generated(path, may_generate=may_generate)
    except UnicodeDecodeError as error:
        raise ImproperlyConfigured(
            f"{path} holds no key: remove the file, or set SECRET_KEY."
        ) from error
    except OSError as error:
        raise ImproperlyConfigured(
            f"The secret key can't be kept in {path}: {error.strerror}. Make the folder writable, "
            "or set SECRET_KEY or MYAGENT_VAR_DIR."
        ) from error


def _kept(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def _generated(path: Path, *, may_generate: bool) -> str:
    if not may_generate:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. With a database server it is required, because every "
            "process must have the same one: put a long random value into the environment."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f"secret_key.{os.getpid()}"
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(50))
    try:
        # Creating a link fails if the name exists: of two simultaneous first starts, one key wins.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text().strip()
