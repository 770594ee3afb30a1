from django.apps import AppConfig
from django.utils.translation import gettext_lazy

from agents.runtime import logs


class AgentsConfig(AppConfig):
    name = "agents"
    verbose_name = gettext_lazy("Agents")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        logs.join_loggers()
