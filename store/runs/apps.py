from django.apps import AppConfig

from store.runs.audit import CHECKS
from store.ledger.audit import register


class RunsConfig(AppConfig):
    name = "store.runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        register(*CHECKS)
