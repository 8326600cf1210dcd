"""What a payout costs, and what is sent. Integers only: what is sent is whole cents, the fee is rounded up once."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from store.billing.checkout import NANO_PER_CENT
from store.ledger.pricing import PPM


@dataclass(frozen=True, slots=True)
class Quote:
    """``amount_nano`` leaves the earnings: ``sent_nano``, whole cents, and ``fee_nano``."""

    sent_nano: int
    fee_nano: int

    @property
    def amount_nano(self) -> int:
        return self.sent_nano + self.fee_nano


def quote(at_most_nano: int) -> Quote:
    """The most that can be sent out of this amount; nothing where it does not cover the fee."""
    room = at_most_nano - settings.PAYOUT_FEE_NANO
    sent = max(0, room * PPM // (PPM + settings.PAYOUT_FEE_PPM)) // NANO_PER_CENT * NANO_PER_CENT
    return Quote(sent, fee_of(sent)) if sent else Quote(0, 0)


def fee_of(sent_nano: int) -> int:
    """A flat part, and a share of what is sent."""
    return int(settings.PAYOUT_FEE_NANO) - (-sent_nano * settings.PAYOUT_FEE_PPM // PPM)
