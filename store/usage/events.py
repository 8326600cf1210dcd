"""What webhooks are told of budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from store.webhooks.event_types import EventType

if TYPE_CHECKING:  # types are registered before there are models
    from store.usage.models import BudgetAlert

BUDGET = {
    "id": 7, "scope": "member", "organization": "acme", "member": "ann@example.com", "key": None, "listing": None,
    "period": "month", "starts_on": "2026-12-01", "limit_nano": 50_000_000_000, "is_hard": True,
}  # fmt: skip
REACHED = EventType(
    "budget.threshold_reached",
    _("So much of a budget was spent that its owners want to hear of it. Once for each period and threshold."),
    {"budget": BUDGET, "percent": 80, "spent_nano": 40_217_000_000},
)
EXHAUSTED = EventType(
    "budget.exhausted",
    _("A hard budget has refused a call or a training for the first time in its period."),
    {"budget": BUDGET, "percent": None, "spent_nano": 49_999_100_000},
)
EVENT_TYPES = (REACHED, EXHAUSTED)


def event_of(alert: BudgetAlert) -> tuple[str, dict[str, Any]]:
    """The type of the event, and its data: all that is needed to act without asking back. Money in nano-dollars."""
    budget = alert.use.budget
    about = {
        "id": budget.pk, "scope": budget.scope, "organization": budget.organization.slug,
        "member": budget.member.email if budget.member else None, "key": budget.api_key.prefix if budget.api_key else None,
        "listing": budget.listing.name if budget.listing else None, "period": budget.period,
        "starts_on": alert.use.starts_on.isoformat(), "limit_nano": alert.limit_nano, "is_hard": budget.is_hard,
    }  # fmt: skip
    kind = EXHAUSTED if alert.percent is None else REACHED
    return kind.name, {"budget": about, "percent": alert.percent, "spent_nano": alert.spent_nano}
