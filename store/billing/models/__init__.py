"""Money in and out of the store."""

from store.billing.models.cards import AutoTopup, Card, CardSetup, OffReason
from store.billing.models.events import Quarantine, QuarantineReason, StripeEvent
from store.billing.models.grants import Grant, GrantSource, GrantTally, PromoCode, Redemption
from store.billing.models.letters import Letter
from store.billing.models.papers import BillingDetails, Paper, PaperKind, PaperSeries
from store.billing.models.reversals import Dispute, DisputeStatus, Refund, RefundOrder, RefundOrderStatus, Reversal
from store.billing.models.topups import Customer, Place, Topup, TopupMode, TopupStatus

__all__ = [
    "AutoTopup",
    "BillingDetails",
    "Card",
    "CardSetup",
    "Customer",
    "Dispute",
    "DisputeStatus",
    "Grant",
    "GrantSource",
    "GrantTally",
    "Letter",
    "OffReason",
    "Paper",
    "PaperKind",
    "PaperSeries",
    "Place",
    "PromoCode",
    "Quarantine",
    "QuarantineReason",
    "Redemption",
    "Refund",
    "RefundOrder",
    "RefundOrderStatus",
    "Reversal",
    "StripeEvent",
    "Topup",
    "TopupMode",
    "TopupStatus",
]
