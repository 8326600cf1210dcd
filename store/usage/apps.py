from django.apps import AppConfig

from store.ledger.audit import register
from store.usage.audit import CHECKS
from store.usage.events import EVENT_TYPES
from store.webhooks.event_types import register as register_events


class UsageConfig(AppConfig):
    name = "store.usage"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        register(*CHECKS)
        register_events(*EVENT_TYPES)
