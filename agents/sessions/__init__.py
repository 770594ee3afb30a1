"""The sessions that are alive in this process."""
