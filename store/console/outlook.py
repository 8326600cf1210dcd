"""An organization's budgets as pages show them."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import F, Q, QuerySet

from store.accounts.models import Organization, User
from store.keys.models import ApiKey, Budget, BudgetQuerySet
from store.usage.budgets import BudgetNow, budgets_now
from store.usage.models import BudgetAlert

ALERTS_SHOWN = 50
PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class BudgetPage:
    """``older`` is the id after which the next page begins, None on the last."""

    budgets: list[BudgetNow]
    older: int | None


def budgets_of(organization: Organization, user: User) -> BudgetQuerySet:
    """Those that the user may see: the whole organization's first, then members', then keys'."""
    mine = Budget.objects.visible_to(user).filter(organization=organization).full()
    order = (F("api_key__name").asc(nulls_first=True), F("member__email").asc(nulls_first=True))
    return mine.order_by(*order, F("listing").asc(nulls_first=True), "period", "pk")


def budget_page(budgets: BudgetQuerySet, *, before: int | None) -> BudgetPage:
    """The newest budgets that are older than ``before``, and how each stands."""
    newest_first = budgets.order_by("-pk")
    rows = list((newest_first.filter(pk__lt=before) if before else newest_first)[: PER_PAGE + 1])
    return BudgetPage(budgets_now(rows[:PER_PAGE]), rows[PER_PAGE - 1].pk if len(rows) > PER_PAGE else None)


def budgets_of_key(api_key: ApiKey, user: User) -> BudgetQuerySet:
    """Those that bind what the key does, of what the user may see; its own come last."""
    binding = Q(api_key=api_key) | Q(api_key=None) & (Q(member=None) | Q(member=api_key.created_by_id))
    on_its_models = Q(listing=None) | Q(listing__in=api_key.listings.all())
    return budgets_of(api_key.organization, user).filter(binding, on_its_models)


def alerts_of(budget: Budget) -> QuerySet[BudgetAlert]:
    """What was told of it, newest first."""
    return BudgetAlert.objects.filter(use__budget=budget).select_related("use").order_by("-pk")[:ALERTS_SHOWN]
