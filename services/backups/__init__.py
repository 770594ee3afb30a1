"""Copies the database while the site serves, and makes a site of such a copy."""
