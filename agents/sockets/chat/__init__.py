"""The chat dialect."""
