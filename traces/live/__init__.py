"""Traces while they happen."""
