"""Keeps services running: the decisions, and the processes."""
