"""Conversations over REST: those that are stored, and talking in them."""
