"""Clients of services that run elsewhere: their frames pass through the site, both ways."""
