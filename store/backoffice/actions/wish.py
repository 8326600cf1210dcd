"""What somebody wants to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from uuid_utils.compat import uuid7

from store.accounts.models import Organization
from store.backoffice.models import ActionKind
from store.billing.models import PromoCode, Topup
from store.billing.promo import CodeTerms
from store.ledger.dollars import dollars
from store.ledger.models import Wallet
from store.payouts.models import Payout


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """``id``: asking again with the same one is asking once. Amounts in nano-dollars."""

    kind: ActionKind
    reason: str
    organization: Organization | None = None
    debit: Wallet | None = None
    credit: Wallet | None = None
    topup: Topup | None = None
    payout: Payout | None = None  # that is to be tried again
    earnings_mark: int | None = None  # id of the mark that keeps what is held back when it is asked to be let go
    amount_nano: int | None = None
    of_spent: bool = False  # a refund may take what is spent already: the platform bears it
    days: int | None = None  # that granted credit can be spent
    note: str = ""  # what the organization reads
    code_terms: CodeTerms | None = None  # of a promo code that is to be made
    code: PromoCode | None = None  # that is to be ended
    id: UUID = field(default_factory=uuid7)

    @property
    def amount(self) -> str:
        """In dollars; empty where it is about none."""
        return "" if self.amount_nano is None else dollars(self.amount_nano)
