"""The trace dialect: one conversation by its label, or all traces of the site."""
