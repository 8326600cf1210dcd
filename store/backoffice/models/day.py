"""The ledger by day: what the dashboard reads in place of a million transfers. Made from transfers only, and can be made again."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from store.ledger.models import Wallet


class LedgerDay(models.Model):
    """What transfers of one kind took out of wallets of one kind and brought in on one day (UTC)."""

    day = models.DateField()
    wallet_kind = models.CharField(max_length=10)  # a WalletKind
    kind = models.CharField(max_length=12)  # a TransferKind
    debit_nano = models.BigIntegerField()
    credit_nano = models.BigIntegerField()
    transfers = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "wallet_kind", "kind"], name="ledger_day_once")]

    def __str__(self) -> str:
        return f"{self.day}: {self.wallet_kind}, {self.kind}"


class WalletDay(models.Model):
    """What one wallet paid for what it bought, or earned by what it sold, on one day (UTC)."""

    day = models.DateField()
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    paid_nano = models.BigIntegerField()
    earned_nano = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "wallet"], name="wallet_day_once")]
        indexes = [models.Index(fields=["wallet", "day"], condition=Q(paid_nano__gt=0), name="wallet_day_paid")]

    def __str__(self) -> str:
        return f"{self.wallet_id} on {self.day}"
