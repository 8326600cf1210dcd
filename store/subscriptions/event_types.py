"""What subscribers are told by webhook."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from store.webhooks.event_types import EventType

EXAMPLE = {
    "id": 17, "object": "subscription", "model": "acme/bard", "plan": "Small", "status": "active", "is_cancelled": False,
    "charge_nano": 5_000_000_000, "ends_at": "2027-01-31T09:30:00+00:00", "end_reason": "",
}  # fmt: skip
EVENT_TYPES = (
    EventType("subscription.started", _("A subscription has begun, and its first month is paid."), EXAMPLE),
    EventType("subscription.renewed", _("Another month of a subscription is paid, or another plan of it has begun."), EXAMPLE),
    EventType(
        "subscription.past_due", _("There was not enough credit for another month. It is tried again, once a day."),
        {**EXAMPLE, "status": "past_due"},
    ),
    EventType(
        "subscription.ended", _("A subscription has ended. The reason says why."),
        {**EXAMPLE, "status": "ended", "end_reason": "cancelled"},
    ),
)  # fmt: skip
