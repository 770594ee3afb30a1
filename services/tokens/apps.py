from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class TokensConfig(AppConfig):
    name = "services.tokens"
    label = "tokens"
    verbose_name = gettext_lazy("Access")
    default_auto_field = "django.db.models.BigAutoField"
