from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "store.ledger"
    default_auto_field = "django.db.models.BigAutoField"
