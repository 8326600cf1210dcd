"""A wallet's statement: its transfers, newest first, as lines that say what each was for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from store.accounts.models import Organization
from store.ledger.models import Transfer, Wallet, WalletKind

PER_PAGE = 50
RUN_KEY = "run:"


@dataclass(frozen=True, slots=True)
class Line:
    """A transfer as this wallet sees it: ``amount_nano`` is negative where money left it. ``run_id``: the run that it paid for."""

    id: int
    at: datetime
    kind: str
    amount_nano: int
    other: str  # whose wallet the money came from or went to
    run_id: UUID | None
    is_test: bool


@dataclass(frozen=True, slots=True)
class Statement:
    lines: list[Line]
    older: int | None  # id before which the next page begins


def statement(wallet: Wallet, *, before: int | None = None) -> Statement:
    """The newest transfers of the wallet that are older than ``before``."""
    if wallet.pk is None:
        return Statement([], None)
    moved = (
        Transfer.objects.filter(Q(debit=wallet) | Q(credit=wallet))
        .select_related("debit__organization", "credit__organization")
        .order_by("-id")
    )
    rows = list(moved.filter(id__lt=before)[: PER_PAGE + 1] if before else moved[: PER_PAGE + 1])
    return Statement(
        [_line(row, wallet) for row in rows[:PER_PAGE]], rows[PER_PAGE - 1].pk if len(rows) > PER_PAGE else None
    )


def transfers_of_run(run_id: UUID) -> Sequence[Transfer]:
    """What a run moved."""
    moved = Transfer.objects.filter(key__startswith=f"{RUN_KEY}{run_id}:")
    return list(moved.select_related("debit__organization", "credit__organization").order_by("id"))


def earnings_of(organization: Organization) -> Wallet:
    """The earnings wallet; an unsaved empty one where there is none yet."""
    found = Wallet.objects.filter(organization=organization, kind=WalletKind.EARNINGS).first()
    return found or Wallet(organization=organization, kind=WalletKind.EARNINGS)


def _line(row: Transfer, wallet: Wallet) -> Line:
    head, _colon, _rest = row.key.removeprefix(RUN_KEY).partition(":")
    return Line(
        id=row.pk,
        at=row.created_at,
        kind=row.get_kind_display(),
        amount_nano=-row.amount_nano if row.debit_id == wallet.pk else row.amount_nano,
        other=_owner(row.credit if row.debit_id == wallet.pk else row.debit),
        run_id=UUID(head) if row.key.startswith(RUN_KEY) else None,
        is_test=row.debit.kind == WalletKind.TEST_BANK,
    )


def _owner(wallet: Wallet) -> str:
    return wallet.organization.slug if wallet.organization else str(wallet.get_kind_display())
