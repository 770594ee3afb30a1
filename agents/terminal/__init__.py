"""Talking to a service from a terminal."""
