"""All targets, each in the module of what it reads."""

from __future__ import annotations

from tests.fuzz import frames, replies, requests
from tests.fuzz.registry import SEEDS, TARGETS

__all__ = ["SEEDS", "TARGETS", "frames", "replies", "requests"]
