"""Requests to sessions by programs without a socket: each has one inside this process."""
