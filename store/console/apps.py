from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "store.console"
    default_auto_field = "django.db.models.BigAutoField"
