"""Examines a site: what is wrong with it, and what to do about it. It changes nothing."""
