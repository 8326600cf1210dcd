from django.apps import AppConfig

from store.billing.audit import CHECKS
from store.ledger.audit import register


class BillingConfig(AppConfig):
    name = "store.billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        register(*CHECKS)
