"""Traces over REST: what happened inside runs."""
