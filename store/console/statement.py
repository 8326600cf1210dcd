"""A wallet's statement: what moved, newest first, as lines that say what each was for. A call is one line, with all its shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from store.accounts.models import Organization
from store.ledger.models import Transfer, TransferKind, Wallet, WalletKind

PER_PAGE = 50
CHUNK = 3 * PER_PAGE  # transfers read at once: most runs have two or three
RUN_KEY, MONTH_KEY = (
    "run:",
    "subscription:",
)  # how the keys of a run's transfers begin, and those of a month that was paid


@dataclass(frozen=True, slots=True)
class Line:
    """A transfer, or all those of a run or of a subscription's month, as this wallet sees it: ``amount_nano`` is negative where money left it.

    ``run_id``: the run that it paid for. ``id`` is that of the oldest of its transfers.
    """

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
    together = (list(rows) for _what, rows in groupby(_walk(moved, before), key=_what_for))
    lines = [_line(rows, wallet) for rows in islice(together, PER_PAGE + 1)]
    return Statement(lines[:PER_PAGE], lines[PER_PAGE - 1].id if len(lines) > PER_PAGE else None)


def _walk(moved: QuerySet[Transfer], before: int | None) -> Iterator[Transfer]:
    """The transfers from ``before`` on, in the order of the query, a chunk at a time."""
    while rows := list(moved.filter(id__lt=before)[:CHUNK] if before else moved[:CHUNK]):
        yield from rows
        before = rows[-1].pk


def _what_for(row: Transfer) -> str:
    """Transfers of a run or a month are written together while its payer's wallet is locked, so that nothing comes between them there."""
    head, _colon, rest = row.key.partition(":")
    return f"{head}:{rest.partition(':')[0]}" if row.key.startswith((RUN_KEY, MONTH_KEY)) else row.key


def transfers_of_run(run_id: UUID) -> Sequence[Transfer]:
    """What a run moved."""
    moved = Transfer.objects.filter(key__startswith=f"{RUN_KEY}{run_id}:")
    return list(moved.select_related("debit__organization", "credit__organization").order_by("id"))


def earnings_of(organization: Organization) -> Wallet:
    """The earnings wallet; an unsaved empty one where there is none yet."""
    found = Wallet.objects.filter(organization=organization, kind=WalletKind.EARNINGS).first()
    return found or Wallet(organization=organization, kind=WalletKind.EARNINGS)


def _line(rows: Sequence[Transfer], wallet: Wallet) -> Line:
    """Of transfers that belong together, the newest first: the oldest, the seller's share of a run, says what it is."""
    row = rows[-1]
    head, _colon, _rest = row.key.removeprefix(RUN_KEY).partition(":")
    is_call, is_month = row.key.startswith(RUN_KEY), row.key.startswith(MONTH_KEY)
    is_spent = is_call and row.debit_id == wallet.pk
    return Line(
        id=row.pk,
        at=row.created_at,
        kind=_("Subscription") if is_month else str(TransferKind.USAGE.label) if is_spent else row.get_kind_display(),
        amount_nano=sum(-one.amount_nano if one.debit_id == wallet.pk else one.amount_nano for one in rows),
        other=_owner(row.credit if row.debit_id == wallet.pk else row.debit),
        run_id=UUID(head) if is_call else None,
        is_test=WalletKind.TEST_BANK in (row.debit.kind, row.credit.kind),
    )


def _owner(wallet: Wallet) -> str:
    return wallet.organization.slug if wallet.organization else str(wallet.get_kind_display())
