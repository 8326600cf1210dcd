"""An organization's keys as its page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Case, Q, Value, When
from django.db.models.functions import Now

from store.accounts.models import Organization
from store.keys.models import ApiKey, ApiKeyQuerySet, Budget, BudgetUse, period_starts_on


@dataclass(frozen=True, slots=True)
class BudgetNow:
    """A budget in its current period. ``used_nano`` is captured and held together."""

    budget: Budget
    used_nano: int
    left_nano: int


def keys_of(organization: Organization) -> ApiKeyQuerySet:
    """With ``is_dead`` (it opens nothing any more) and ``is_expired``, the living first."""
    expired = Q(expires_at__isnull=False, expires_at__lte=Now())
    keys = ApiKey.objects.filter(organization=organization).annotate(
        is_expired=Case(When(expired, then=Value(True)), default=Value(False)),
        is_dead=Case(When(expired | Q(revoked_at__isnull=False), then=Value(True)), default=Value(False)),
    )
    return keys.order_by("is_dead", "-pk")


def budgets_now(api_key: ApiKey) -> list[BudgetNow]:
    """The key's budgets, those of the whole key first."""
    today = datetime.now(UTC).date()
    budgets = sorted(
        api_key.budgets.select_related("listing__organization"),
        key=lambda budget: (budget.listing_id or 0, budget.period),
    )
    used = {(use.budget_id, use.starts_on): use.used_nano for use in BudgetUse.objects.filter(budget__in=budgets)}
    return [_now(budget, used.get((budget.pk, period_starts_on(budget.period, today)), 0)) for budget in budgets]


def _now(budget: Budget, used_nano: int) -> BudgetNow:
    return BudgetNow(budget, used_nano, max(budget.limit_nano - used_nano, 0))
