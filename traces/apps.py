import importlib

from django.apps import AppConfig
from django.utils.translation import gettext_lazy

from agents.log import observers


class TracesConfig(AppConfig):
    name = "traces"
    verbose_name = gettext_lazy("Traces")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # They register themselves.
        importlib.import_module("traces.checks")
        observers.register("traces.recording.costs.count")
