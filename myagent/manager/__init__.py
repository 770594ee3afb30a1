"""Many agents as services: the names that people know; each calls the site's own verbs."""
