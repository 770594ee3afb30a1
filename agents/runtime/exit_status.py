"""What a worker's exit status says to whoever started it."""

from __future__ import annotations

CONFIGURATION_ERROR = 78
"""The agent file can't be loaded: trying again is pointless (EX_CONFIG of sysexits.h)."""
