"""Budgets that are being used up are told of, by mail and by webhook: by the clock, so that no call waits for it.

What counts is what was spent. What is only held, the worst case of what runs now, would cry wolf. But a hard budget refuses what it
cannot hold, often before all of it is spent: so its first refusal in a period is told of, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from store.accounts.models import Role, User
from store.catalog.models import Notice, NoticeKind
from store.keys.models import Budget, Period, period_starts_on
from store.ledger.dollars import dollars
from store.ledger.sql import array, execute
from store.outbox import send_after_commit
from store.usage.budgets import HELD
from store.usage.events import event_of
from store.usage.models import BudgetAlert
from store.webhooks.actions import emit

LATE = timedelta(days=1)  # what happened at the end of a period is told of so long after it
TOLD = (Role.OWNER, Role.BILLING)

NEW_ALERTS = f"""
WITH held AS ({HELD}), spent AS (
    SELECT s.id, b.limit_nano, s.used_nano - coalesce(held.nano, 0) AS nano, b.alert_percents, b.is_hard AND s.refused_at IS NOT NULL AS refuses
    FROM keys_budgetuse s JOIN keys_budget b ON b.id = s.budget_id LEFT JOIN held ON held.use_id = s.id
    WHERE (b.period, s.starts_on) IN (SELECT * FROM unnest(%s::text[], %s::date[]))
), due AS (
    SELECT id, percent, limit_nano, nano FROM spent CROSS JOIN unnest(alert_percents) AS percent
    WHERE nano > 0 AND nano::numeric * 100 >= limit_nano::numeric * percent
    UNION ALL
    SELECT id, NULL, limit_nano, nano FROM spent WHERE refuses
)
INSERT INTO usage_budgetalert (use_id, percent, limit_nano, spent_nano)
SELECT d.id, d.percent, d.limit_nano, greatest(d.nano, 0) FROM due d WHERE NOT EXISTS (
    SELECT FROM usage_budgetalert a WHERE a.use_id = d.id AND a.percent IS NOT DISTINCT FROM d.percent AND a.limit_nano = d.limit_nano)
ON CONFLICT DO NOTHING RETURNING id
"""


@transaction.atomic
def raise_alerts(*, now: datetime | None = None) -> list[BudgetAlert]:
    """Finds what is to be told and was not yet, and puts mails and events into their outboxes in the same transaction.

    Each threshold has an event of its own; where several were passed since the last look, there is one mail, of the highest.
    """
    starts = sorted(_starts(now or timezone.now()))
    rows = execute(NEW_ALERTS, array([period for period, _day in starts]), array([day for _period, day in starts]))
    about = ("organization", "api_key", "member", "listing__organization")
    found = BudgetAlert.objects.filter(pk__in=[pk for (pk,) in rows])
    alerts = list(
        found.select_related("use__budget", *(f"use__budget__{name}" for name in about)).order_by("use_id", "percent")
    )
    for alert in alerts:
        kind, data = event_of(alert)
        emit(organization=alert.use.budget.organization, type=kind, data=data)
    highest = {alert.use_id: alert for alert in alerts}  # nulls come last: a refusal says more than any threshold
    _mail(list(highest.values()))
    return alerts


def _starts(now: datetime) -> set[tuple[str, date]]:
    """(period, its first day) of the periods that run, and of those that have just ended."""
    days = [moment.astimezone(UTC).date() for moment in (now, now - LATE)]
    return {(str(period), period_starts_on(period, day)) for period in Period for day in days}


def _mail(alerts: Sequence[BudgetAlert]) -> None:
    notices = [
        Notice(user=user, kind=_kind(alert), context=_words(alert))
        for alert in alerts
        for user in people_told(alert.use.budget)
    ]
    if notices:
        Notice.objects.bulk_create(notices)
        send_after_commit("mail.notices")


def people_told(budget: Budget) -> list[User]:
    """Who answers for the organization's money, and the member whose budget it is."""
    members = budget.organization.memberships.filter(Q(role__in=TOLD) | Q(user=budget.member_id), user__is_active=True)
    return [membership.user for membership in members.select_related("user").order_by("pk")]


def _kind(alert: BudgetAlert) -> NoticeKind:
    return NoticeKind.BUDGET_REFUSES if alert.percent is None else NoticeKind.BUDGET_REACHED


def _words(alert: BudgetAlert) -> dict[str, str]:
    budget = alert.use.budget
    return {
        "spender": budget.spender,
        "organization": budget.organization.slug,
        "model": budget.listing.name if budget.listing else "",
        "limit": dollars(alert.limit_nano),
        "period": str(budget.get_period_display()),
        "starts_on": "" if budget.period == Period.TOTAL else alert.use.starts_on.isoformat(),
        "spent": dollars(alert.spent_nano),
        "percent": str(alert.percent or ""),
        "is_hard": "yes" if budget.is_hard else "",
        "url": settings.PUBLIC_URL + reverse("console:budget", args=[budget.pk]),
    }
