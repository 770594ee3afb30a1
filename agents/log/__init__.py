"""The log of sessions: the journal, and all that it writes and reads."""
