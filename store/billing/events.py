"""What webhooks are told of top-ups."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from store.webhooks.event_types import EventType

TOPUP = {"id": "019363b2-6d3c-7c1a-9b1e-0c6f0e6f2a11", "object": "topup", "amount_nano": 25_000_000_000}
EVENT_TYPES = (
    EventType(
        "auto_topup.succeeded",
        _("The balance was low, and the saved card was charged."),
        {**TOPUP, "status": "paid", "error_code": None},
    ),
    EventType(
        "auto_topup.failed",
        _("The saved card could not be charged. It is tried again later."),
        {**TOPUP, "status": "declined", "error_code": "card_declined"},
    ),
    EventType(
        "auto_topup.disabled",
        _("The saved card could not be charged, and automatic top-ups are off now."),
        {**TOPUP, "status": "declined", "error_code": "card_declined"},
    ),
)
