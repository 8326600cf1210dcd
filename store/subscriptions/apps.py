from django.apps import AppConfig

from store.ledger.audit import register
from store.subscriptions.audit import CHECKS
from store.subscriptions.event_types import EVENT_TYPES
from store.webhooks.event_types import register as register_events


class SubscriptionsConfig(AppConfig):
    name = "store.subscriptions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        register(*CHECKS)
        register_events(*EVENT_TYPES)
