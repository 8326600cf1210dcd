from django.apps import AppConfig


class ReputationConfig(AppConfig):
    name = "store.reputation"
    default_auto_field = "django.db.models.BigAutoField"
