"""Third-party apps, configured for this site."""

from __future__ import annotations

from django.apps import AppConfig


class DaphneConfig(AppConfig):
    """daphne's `runserver` without its server, whose import would cost every command half a second.

    `runserver` imports it.
    """

    name = "daphne"
    verbose_name = "Daphne"
