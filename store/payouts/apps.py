from django.apps import AppConfig

from store.ledger.audit import register
from store.payouts.audit import CHECKS
from store.webhooks.event_types import register as register_types


class PayoutsConfig(AppConfig):
    name = "store.payouts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # These need the models, which are there from here on.
        from store.billing.inbox import watch
        from store.payouts.listening import EVENT_TYPES, WATCHER

        register(*CHECKS)
        register_types(*EVENT_TYPES)
        watch(WATCHER)
