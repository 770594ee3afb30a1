"""Apps of others, as this site has them."""

from __future__ import annotations

from django.apps import AppConfig


class DaphneConfig(AppConfig):
    """daphne's `runserver`, without its server: to import that takes every command half a second.

    `runserver` imports it.
    """

    name = "daphne"
    verbose_name = "Daphne"
