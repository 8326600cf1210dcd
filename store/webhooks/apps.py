from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "store.webhooks"
    default_auto_field = "django.db.models.BigAutoField"
