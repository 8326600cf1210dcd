from django.apps import AppConfig

from store.catalog.keepers import Keeper
from store.catalog.keepers import register as register_keepers
from store.ledger.audit import register
from store.tuning.audit import CHECKS


class TuningConfig(AppConfig):
    name = "store.tuning"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        register(*CHECKS)
        register_keepers(
            Keeper("tuning.DataFile", "organization"),
            Keeper("tuning.TuneCheckpointFile", "checkpoint__job__organization"),
        )
