import importlib

from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class ServicesConfig(AppConfig):
    name = "services"
    verbose_name = gettext_lazy("Services")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # They register themselves.
        importlib.import_module("services.checks")
