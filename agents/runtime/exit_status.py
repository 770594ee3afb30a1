"""What a worker's exit status says to whoever started it."""

from __future__ import annotations

CONFIGURATION_ERROR = 78
"""An agent file can't be loaded: no use to try again (EX_CONFIG of sysexits.h)."""
