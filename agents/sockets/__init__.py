"""Sockets: the consumers of the dialects, and what they have in common."""
