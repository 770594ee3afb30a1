"""Keeping services running: the decisions, and the processes."""
