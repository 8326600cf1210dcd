from django.apps import AppConfig

from store.ledger.audit import register


class BackofficeConfig(AppConfig):
    name = "store.backoffice"
    verbose_name = "Back office"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from store.backoffice.days import CHECKS  # it reads models, which are there now

        register(*CHECKS)
