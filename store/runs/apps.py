from django.apps import AppConfig

from store.ledger.audit import register
from store.runs.audit import CHECKS


class RunsConfig(AppConfig):
    name = "store.runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        register(*CHECKS)
