"""People are told of budgets once for each threshold, period and limit: by mail, and by webhook."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from store.accounts.models import Membership, Organization, Role, User
from store.catalog.actions.notices import send_notices
from store.catalog.models import Listing, Notice, NoticeKind
from store.keys.budgets import create_budget, update_budget
from store.keys.models import Budget, Period
from store.runs.actions import open_runs, settle_runs
from store.runs.books import BudgetExceeded, SettleRun
from store.runs.models import RunStatus
from store.usage.alerts import raise_alerts
from store.usage.models import BudgetAlert
from store.webhooks.models import WebhookEndpoint, WebhookEvent
from tests.conftest import make_user
from tests.store.runs.conftest import RequestMaker
from tests.store.usage.conftest import COST_NANO, Call

pytestmark = pytest.mark.django_db


@pytest.fixture
def team(consumer: User) -> Organization:
    """The consumer's organization, whose webhooks are told of everything."""
    organization = consumer.personal_organization
    WebhookEndpoint.objects.create(
        organization=organization, url="https://example.com/", sealed_secret="x", created_by=consumer
    )
    return organization


def budget_for(team: Organization, user: User, calls: int, **terms: Any) -> Budget:
    """For so many calls a month."""
    return create_budget(
        **{"organization": team, "user": user, "period": Period.MONTH, "limit_nano": calls * COST_NANO, **terms}
    )


def told(*, now: datetime | None = None) -> list[int | None]:
    return [alert.percent for alert in raise_alerts(now=now)]


def test_each_threshold_is_told_once(team: Organization, consumer: User, call: Call) -> None:
    budget_for(team, consumer, 10)
    seen = []
    for _ in range(10):
        call()
        seen.append(told())
        assert told() == []
    assert seen == [[], [], [], [], [50], [], [], [80], [], [100]]
    assert [event.data["percent"] for event in WebhookEvent.objects.order_by("pk")] == [50, 80, 100]
    assert Notice.objects.count() == 3


def test_of_several_at_once_each_is_an_event_and_the_highest_a_mail(
    team: Organization, consumer: User, call: Call
) -> None:
    budget_for(team, consumer, 1, is_hard=False, alert_percents=[50, 100, 150])
    call()
    assert told() == [50, 100]
    assert WebhookEvent.objects.filter(type="budget.threshold_reached").count() == 2
    assert Notice.objects.get().context["percent"] == "100"


def test_what_is_only_held_is_not_spent(team: Organization, consumer: User, call: Call) -> None:
    budget_for(team, consumer, 2)
    held = call(status=RunStatus.OPEN)
    assert told() == []
    settle_runs([SettleRun(run_id=held.pk, status=RunStatus.SUCCEEDED, output_tokens=50)])
    assert told() == [50]


def test_a_hard_budget_that_refuses_is_told_of_once_for_each_limit(
    team: Organization, consumer: User, call: Call, request_of: RequestMaker
) -> None:
    budget = budget_for(team, consumer, 1, alert_percents=[])
    call(max_tokens=40, output_tokens=40)
    for _ in range(2):
        [refused] = open_runs([request_of()])
        assert isinstance(refused, BudgetExceeded)
    assert (told(), told()) == ([None], [])
    update_budget(budget=budget, user=consumer, limit_nano=COST_NANO + 1, is_hard=True, alert_percents=[])
    assert told() == []
    open_runs([request_of()])
    assert told() == [None]
    event = WebhookEvent.objects.order_by("pk").first()
    assert event is not None
    assert (event.type, event.data["spent_nano"]) == ("budget.exhausted", 26_000)
    assert event.data["budget"] == {
        "id": budget.pk, "scope": "organization", "organization": "consumer", "member": None, "key": None, "listing": None,
        "period": "month", "starts_on": f"{timezone.now():%Y-%m}-01", "limit_nano": COST_NANO, "is_hard": True,
    }  # fmt: skip


def test_a_new_period_and_a_new_limit_tell_anew(team: Organization, consumer: User, call: Call) -> None:
    budget = budget_for(team, consumer, 2, period=Period.DAY, alert_percents=[50])
    today = datetime(2026, 11, 29, 12, tzinfo=UTC)
    call(at=today)
    assert told(now=today) == [50]
    tomorrow = today + timedelta(days=1)
    call(at=tomorrow)
    assert told(now=tomorrow) == [50]
    update_budget(budget=budget, user=consumer, limit_nano=COST_NANO, is_hard=True, alert_percents=[50])
    assert told(now=tomorrow) == [50, 50]  # of both days: yesterday's, too, is over half of what it is now


def test_the_end_of_a_day_is_told_of_after_it(team: Organization, consumer: User, call: Call) -> None:
    budget_for(team, consumer, 2, period=Period.DAY, alert_percents=[50])
    call(at=datetime(2026, 11, 29, 23, 59, 59, tzinfo=UTC))
    assert told(now=datetime(2026, 12, 3, tzinfo=UTC)) == []
    assert told(now=datetime(2026, 11, 30, 0, 0, 5, tzinfo=UTC)) == [50]


def test_owners_billing_and_the_member_are_told(
    team: Organization, consumer: User, call: Call, listing: Listing
) -> None:
    people = {role: make_user(role) for role in (Role.ADMIN, Role.BILLING, Role.DEVELOPER, Role.VIEWER)}
    for role, user in people.items():
        Membership.objects.create(organization=team, user=user, role=role)
    budget_for(team, consumer, 1, member=consumer, listing=listing, alert_percents=[100])
    budget_for(team, consumer, 1, member=people[Role.DEVELOPER])
    call()
    assert told() == [100]
    assert {notice.user for notice in Notice.objects.all()} == {consumer, people[Role.BILLING]}
    assert send_notices() == 2
    message = mail.outbox[0]
    assert message.subject == "100 % of the budget of consumer@example.com on provider/bard is spent"
    assert "$0.00003 of $0.00003 per month were spent since" in message.body
    assert "/settings/budgets/" in message.body


def test_the_mail_of_a_refusal_says_what_to_do(team: Organization, consumer: User, request_of: RequestMaker) -> None:
    budget_for(team, consumer, 0)
    open_runs([request_of()])
    assert told() == [None]
    assert Notice.objects.get().kind == NoticeKind.BUDGET_REFUSES
    assert send_notices() == 1
    assert mail.outbox[0].subject == "The budget of consumer refuses calls now"
    assert "budget_exceeded" in mail.outbox[0].body


def test_a_budget_of_nothing_is_not_spent_by_nothing(team: Organization, consumer: User) -> None:
    budget_for(team, consumer, 0)
    assert told() == []
    assert not BudgetAlert.objects.exists()
