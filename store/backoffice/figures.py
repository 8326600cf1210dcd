"""The figures of the dashboard. Each says which rows it is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from store.backoffice.days import MOVES, parts
from store.backoffice.links import CHARGES, transfers
from store.backoffice.period import Period
from store.ledger.dollars import dollar_parts
from store.ledger.models import TransferKind, WalletKind
from store.ledger.sql import execute

BANKS: Final = (WalletKind.BANK, WalletKind.TEST_BANK)
MONEY: Final = {"all": BANKS, "live": (WalletKind.BANK,), "test": (WalletKind.TEST_BANK,)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """An amount of nano-dollars, or where there is none a count, and the address of its rows."""

    key: str
    name: Any
    url: str
    nano: int | None = None
    count: int | None = None
    note: Any = ""
    alarm: bool = False  # somebody should look at it

    @property
    def shown(self) -> tuple[str, str]:
        """What is shown large, and what stands back behind it: an amount's digits beyond the cent."""
        return dollar_parts(self.nano) if self.nano is not None else (f"{self.count:,}", "")


@dataclass(frozen=True, slots=True)
class Move:
    """What transfers of one kind took out of wallets of one kind, and brought in, on one day. Nano-dollars."""

    day: date
    wallet_kind: str
    kind: str
    debit_nano: int
    credit_nano: int


def moves(period: Period) -> list[Move]:
    """A few rows for each day of the period: one statement, whatever the number of transfers."""
    query = f"SELECT day, wallet_kind, kind, debit_nano, credit_nano FROM ({MOVES}) AS m ORDER BY day"
    return [Move(*row) for row in execute(query, *parts(period))]


def out_of(moved: Iterable[Move], wallets: Iterable[str], kinds: Iterable[str]) -> int:
    """What left wallets of these kinds."""
    wanted, of = set(wallets), set(kinds)
    return sum(one.debit_nano for one in moved if one.wallet_kind in wanted and one.kind in of)


def into(moved: Iterable[Move], wallets: Iterable[str], kinds: Iterable[str]) -> int:
    """What entered wallets of these kinds."""
    wanted, of = set(wallets), set(kinds)
    return sum(one.credit_nano for one in moved if one.wallet_kind in wanted and one.kind in of)


def sales(moved: list[Move], period: Period | None) -> list[Figure]:
    """What customers paid for, and who has it."""
    credit, earnings, platform = (WalletKind.CREDIT,), (WalletKind.EARNINGS,), (WalletKind.PLATFORM,)
    usage, royalty, commission = (TransferKind.USAGE,), (TransferKind.ROYALTY,), (TransferKind.COMMISSION,)
    return [
        Figure(key="volume", name=_("Volume"), nano=out_of(moved, credit, CHARGES), url=transfers(CHARGES, period, debit=credit)),
        Figure(key="providers", name=_("Providers' share"), nano=into(moved, earnings, usage), url=transfers(usage, period, credit=earnings)),
        Figure(key="royalties", name=_("Royalties"), nano=into(moved, earnings, royalty), url=transfers(royalty, period, credit=earnings)),
        Figure(key="commission", name=_("Commission"), nano=into(moved, platform, commission), url=transfers(commission, period, credit=platform)),
    ]  # fmt: skip


def payments(moved: list[Move], period: Period | None, money: str) -> list[Figure]:
    """What came in and went back, of real money, test money or both; and what the store gave and corrected."""
    banks, credit = MONEY[money], (WalletKind.CREDIT,)
    topup, refund, dispute = (TransferKind.TOPUP,), (TransferKind.REFUND,), (TransferKind.DISPUTE,)
    payout = (TransferKind.PAYOUT,)
    grant, correction = (TransferKind.GRANT,), (TransferKind.CORRECTION,)
    return [
        Figure(key="topups", name=_("Top-ups"), nano=out_of(moved, banks, topup), url=transfers(topup, period, debit=banks)),
        Figure(key="refunds", name=_("Refunds"), nano=into(moved, banks, refund), url=transfers(refund, period, credit=banks)),
        Figure(key="disputes_lost", name=_("Disputes lost"), nano=into(moved, banks, dispute), url=transfers(dispute, period, credit=banks)),
        Figure(key="paid_out", name=_("Paid out"), nano=into(moved, banks, payout), url=transfers(payout, period, credit=banks)),
        Figure(key="granted", name=_("Credit granted"), nano=into(moved, credit, grant), url=transfers(grant, period, credit=credit)),
        Figure(key="corrected", name=_("Corrections"), nano=out_of(moved, WalletKind.values, correction), url=transfers(correction, period)),
    ]  # fmt: skip
