"""Keeping services running: what is decided, and the processes that follow from it."""
