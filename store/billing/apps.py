from django.apps import AppConfig

from store.billing.audit import CHECKS
from store.billing.events import EVENT_TYPES
from store.ledger.audit import register
from store.webhooks import event_types


class BillingConfig(AppConfig):
    name = "store.billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        register(*CHECKS)
        event_types.register(*EVENT_TYPES)
