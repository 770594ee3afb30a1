"""The error for a var folder, where the site keeps its files, that can't be used."""

from __future__ import annotations

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def unusable(folder: Path, error: OSError) -> ImproperlyConfigured:
    """The error to raise."""
    return ImproperlyConfigured(
        f"Nothing can be written in {folder}: {error.strerror}. Make the folder writable, or "
        "set MYAGENT_VAR_DIR to another."
    )
