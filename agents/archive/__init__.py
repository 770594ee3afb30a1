"""Stored conversations, alive or not: found, described, renamed, removed."""
