"""Addresses of exactly the rows that a figure is made of, in the lists of the admin."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from store.backoffice.period import Period
from store.ledger.models import TransferKind, WalletKind

# What a customer pays for: each charge is one transfer for each of its shares.
CHARGES: Final = (TransferKind.USAGE, TransferKind.COMMISSION, TransferKind.ROYALTY)
EARNED: Final = (TransferKind.USAGE, TransferKind.ROYALTY)  # what of it a provider has


def rows(model: str, **lookups: object) -> str:
    """The list of ``app_model``, with these lookups; several values of one are separated by commas."""
    address = _list(model)
    return (
        f"{address}?{urlencode(sorted((name, _text(value)) for name, value in lookups.items()))}"
        if lookups
        else address
    )


@cache
def _list(model: str) -> str:
    """Looked up once: a dashboard of many days has a thousand addresses."""
    return reverse(f"admin:{model}_changelist")


def transfers(
    kinds: Iterable[TransferKind], period: Period | None, *, debit: Iterable[WalletKind] = (), credit: Iterable[WalletKind] = (), **more: object
) -> str:  # fmt: skip
    """Transfers of these kinds within a period, out of and into wallets of these kinds."""
    lookups: dict[str, object] = {"kind__in": list(kinds), **more}
    if debit:
        lookups["debit__kind__in"] = list(debit)
    if credit:
        lookups["credit__kind__in"] = list(credit)
    return rows("ledger_transfer", **lookups, **within("created_at", period))


def within(field: str, period: Period | None) -> dict[str, object]:
    """Lookups of a field of time."""
    return {f"{field}__gte": period.starts_at, f"{field}__lt": period.ends_at} if period else {}


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return ",".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)
