from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "store.billing"
    default_auto_field = "django.db.models.BigAutoField"
