"""Commands with the names people know; each calls the site's own command."""
