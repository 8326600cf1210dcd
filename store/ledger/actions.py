"""The verbs of money. Each statement works on a whole set, and the triggers of ``migrations/0002_laws.py`` hold the laws behind it.

Lock order, which every transaction that moves money keeps, so that none can wait in a circle: first the credit wallets by id
(:func:`lock_credit`), then whatever else belongs to those organizations, last all other wallets by id (the triggers lock them so).
The lock on an organization's credit wallet is the lock on everything that its runs spend from: its keys' counters and budgets, its
holds, its replays. A transaction that moves money more than once takes all its credit wallets first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from store.ledger.models import HoldStatus, Transfer, TransferKind, Wallet, WalletKind
from store.ledger.sql import array, execute, text_array


@dataclass(frozen=True, kw_only=True, slots=True)
class NewTransfer:
    """Money to move from ``debit_id`` to ``credit_id``, once for each ``key``."""

    key: str
    debit_id: int
    credit_id: int
    amount_nano: int
    kind: TransferKind


@dataclass(frozen=True, kw_only=True, slots=True)
class NewHold:
    """Money to set aside."""

    id: UUID
    wallet_id: int
    amount_nano: int
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """How a hold ends: CAPTURED with what was captured, VOIDED or EXPIRED with nothing."""

    hold_id: UUID
    status: HoldStatus
    captured_nano: int = 0


@dataclass(frozen=True, slots=True)
class Purse:
    """A credit wallet that this transaction has locked."""

    wallet_id: int
    available_nano: int


class WalletMissing(LookupError):
    """Organizations without a wallet of a kind: make them (:func:`ensure_wallets`) in a transaction of their own, and begin again."""

    def __init__(self, organization_ids: Iterable[int], kind: WalletKind) -> None:
        self.organization_ids = sorted(organization_ids)
        self.kind = kind
        super().__init__(f"no {kind} wallet for organizations {self.organization_ids}")


def wallet_of(organization_id: int, kind: WalletKind) -> Wallet:
    """The organization's wallet, made where it is missing."""
    wallet = Wallet.objects.filter(organization_id=organization_id, kind=kind).first()
    if wallet is None:
        ensure_wallets([organization_id], kind)
        wallet = Wallet.objects.get(organization_id=organization_id, kind=kind)
    return wallet


def store_wallet(kind: WalletKind) -> Wallet:
    """The store's own wallet, made where it is missing."""
    wallet = Wallet.objects.filter(organization=None, kind=kind).first()
    if wallet is None:
        execute(
            """INSERT INTO ledger_wallet (kind, posted_nano, held_nano) VALUES (%s, 0, 0)
               ON CONFLICT (kind) WHERE organization_id IS NULL DO NOTHING""",
            kind.value,
        )
        wallet = Wallet.objects.get(organization=None, kind=kind)
    return wallet


def ensure_wallets(organization_ids: Iterable[int], kind: WalletKind) -> None:
    """Makes the wallets that are missing."""
    execute(
        """INSERT INTO ledger_wallet (organization_id, kind, posted_nano, held_nano)
           SELECT id, %s, 0, 0 FROM unnest(%s::bigint[]) AS o(id) ON CONFLICT (organization_id, kind) DO NOTHING""",
        kind.value,
        array(sorted(set(organization_ids))),
    )


def lock_credit(organization_ids: Iterable[int]) -> dict[int, Purse]:
    """Locks the credit wallets of these organizations until the transaction ends. Raises :class:`WalletMissing`."""
    wanted = set(organization_ids)
    rows = execute(
        """SELECT organization_id, id, posted_nano - held_nano FROM ledger_wallet
           WHERE kind = 'credit' AND organization_id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE""",
        array(wanted),
    )
    purses = {organization_id: Purse(wallet_id, available) for organization_id, wallet_id, available in rows}
    if len(purses) < len(wanted):
        raise WalletMissing(wanted - purses.keys(), WalletKind.CREDIT)
    return purses


def lock_wallets_of(hold_ids: Iterable[UUID]) -> None:
    """Locks the wallets on which these holds are, as :func:`lock_credit` does."""
    execute(
        """SELECT FROM ledger_wallet WHERE id IN (SELECT wallet_id FROM ledger_hold WHERE id = ANY(%s::uuid[]))
           ORDER BY kind <> 'credit', id FOR NO KEY UPDATE""",
        array(hold_ids),
    )


def lock_wallets(wallet_ids: Iterable[int]) -> dict[int, int]:
    """Locks these wallets until the transaction ends, in the order that all keep; what is available on each, by id."""
    rows = execute(
        """SELECT id, posted_nano - held_nano FROM ledger_wallet WHERE id = ANY(%s::bigint[])
           ORDER BY kind <> 'credit', id FOR NO KEY UPDATE""",
        array(wallet_ids),
    )
    return dict(rows)


def sinks(provider_ids: Iterable[int]) -> tuple[dict[int, int], int]:
    """Ids of the wallets that a charge ends in: the providers' earnings by organization, and the platform's.

    Raises :class:`WalletMissing`.
    """
    wanted = set(provider_ids)
    rows = execute(
        """SELECT organization_id, id FROM ledger_wallet WHERE kind = 'earnings' AND organization_id = ANY(%s::bigint[])
           UNION ALL SELECT NULL, id FROM ledger_wallet WHERE kind = 'platform' AND organization_id IS NULL""",
        array(wanted),
    )
    found: dict[int | None, int] = dict(rows)
    platform_id = found.pop(None, None) or store_wallet(WalletKind.PLATFORM).id
    earnings = {owner: wallet_id for owner, wallet_id in found.items() if owner is not None}
    if len(earnings) < len(wanted):
        raise WalletMissing(wanted - earnings.keys(), WalletKind.EARNINGS)
    return earnings, platform_id


def transfer(*, key: str, debit_id: int, credit_id: int, amount_nano: int, kind: TransferKind) -> bool:
    """Moves money once for each ``key``; False where it had moved before.

    Raises IntegrityError where a law forbids it, ValueError where the key has moved something else.
    """
    new = NewTransfer(key=key, debit_id=debit_id, credit_id=credit_id, amount_nano=amount_nano, kind=kind)
    if transfer_all([new]):
        return True
    if not Transfer.objects.filter(**asdict(new)).exists():
        raise ValueError(f"transfer {key} exists, and moved something else")
    return False


def transfer_all(transfers: Sequence[NewTransfer]) -> list[str]:
    """Moves money, and returns the keys that were new. Raises IntegrityError where a law forbids one of them: then none moves."""
    rows = execute(
        """INSERT INTO ledger_transfer (key, debit_id, credit_id, amount_nano, kind)
           SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[])
           ON CONFLICT (key) DO NOTHING RETURNING key""",
        text_array([t.key for t in transfers]),
        array([t.debit_id for t in transfers]),
        array([t.credit_id for t in transfers]),
        array([t.amount_nano for t in transfers]),
        text_array([t.kind for t in transfers]),
    )
    return [key for (key,) in rows]


def place_holds(holds: Sequence[NewHold]) -> None:
    """Sets money aside. Raises IntegrityError where a wallet cannot hold its part: then none is placed."""
    execute(
        """INSERT INTO ledger_hold (id, wallet_id, amount_nano, captured_nano, status, expires_at)
           SELECT id, wallet_id, amount_nano, 0, 'open', expires_at
           FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::timestamptz[])
             AS h(id, wallet_id, amount_nano, expires_at)""",
        array([h.id for h in holds]),
        array([h.wallet_id for h in holds]),
        array([h.amount_nano for h in holds]),
        text_array([h.expires_at.isoformat() for h in holds]),
    )


@transaction.atomic(savepoint=False)
def resolve_holds(resolutions: Sequence[Resolution]) -> None:
    """Ends open holds. What is captured is moved by transfers of the caller's, in the same transaction, after this.

    Raises IntegrityError on a hold that is resolved already, LookupError on one that does not exist: then none is.
    """
    rows = execute(
        """UPDATE ledger_hold h SET status = r.status, captured_nano = r.captured_nano, resolved_at = now()
           FROM unnest(%s::uuid[], %s::text[], %s::bigint[]) AS r(id, status, captured_nano)
           WHERE h.id = r.id RETURNING h.id""",
        array([r.hold_id for r in resolutions]),
        text_array([r.status for r in resolutions]),
        array([r.captured_nano for r in resolutions]),
    )
    if len(rows) != len(resolutions):
        raise LookupError(f"{len(resolutions) - len(rows)} of {len(resolutions)} holds do not exist")
