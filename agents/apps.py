from django.apps import AppConfig

from agents.runtime import logs


class AgentsConfig(AppConfig):
    name = "agents"
    verbose_name = "Agents"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        logs.join_loggers()
