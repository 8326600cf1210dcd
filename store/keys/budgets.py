"""Budgets are set, changed and removed. How they are taken of is in ``keys.caps``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from django.db import transaction
from django.utils.translation import gettext as _

from store.accounts.models import Membership, Organization, User
from store.catalog.models import Listing
from store.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from store.keys.models import BUDGET_KEEPERS, ApiKey, Budget, BudgetUse, Period
from store.ledger import actions as ledger
from store.ledger.models import WalletKind

MAX_BUDGET_NANO = 10**9 * 10**9  # a billion dollars
MAX_BUDGETS = 1000  # of an organization, besides those of its keys: each call reads those that may bind it
MAX_PERCENTS, MAX_PERCENT = 10, 1000  # a soft budget can be overspent, and tell of that, too


class BudgetExists(Conflict):
    """There is a budget for the same spender, model and period."""

    code: ClassVar[str] = "budget_exists"
    default_message: ClassVar[str] = "There is such a budget already. Change that one."


class MayNotBudget(PermissionDenied):
    """Only owners, admins and the billing role set budgets."""

    code: ClassVar[str] = "may_not_budget"
    default_message: ClassVar[str] = "Your role in this organization may not set budgets. Ask one of its owners."


@transaction.atomic
def create_budget(
    *,
    organization: Organization,
    user: User,
    period: str,
    limit_nano: int,
    api_key: ApiKey | None = None,
    member: User | None = None,
    listing: Listing | None = None,
    is_hard: bool = True,
    alert_percents: Sequence[int] = (50, 80, 100),
) -> Budget:
    """Sets what the organization, one of its members or one of its keys may spend in each period, from now on.

    Raises NotFound (no member here, another's key, a model that the organization cannot call), MayNotBudget, InvalidRequest naming the
    field, BudgetExists, Conflict (too many).
    """
    _require_keeper(organization.pk, user)
    _lock(organization.pk)
    if period not in Period.values:
        raise InvalidRequest(_("A budget is per day, per month or in all."), param="period")
    if api_key is not None and member is not None:
        raise InvalidRequest(_("A budget is of a member or of a key, not of both."), param="member")
    if api_key is not None and api_key.organization_id != organization.pk:
        raise NotFound(_("There is no such key."), param="key")
    if member is not None and not organization.memberships.filter(user=member).exists():
        raise NotFound(_("There is no such member."), param="member")
    of_whom = {"api_key": api_key, "member": member, "listing": listing, "period": period}
    if organization.budgets.filter(**of_whom).exists():
        raise BudgetExists(param="period")
    if organization.budgets.filter(api_key=None).count() >= MAX_BUDGETS:
        raise Conflict(_("An organization has %d budgets at most, besides those of its keys.") % MAX_BUDGETS)
    percents = _checked(limit_nano, alert_percents)
    return Budget.objects.create(
        organization=organization, **of_whom, limit_nano=limit_nano, is_hard=is_hard, alert_percents=percents
    )


@transaction.atomic
def update_budget(
    *, budget: Budget, user: User, limit_nano: int, is_hard: bool, alert_percents: Sequence[int]
) -> Budget:
    """Changes how much, how strictly and when it tells; what was used of it stays. Raises NotFound, MayNotBudget, InvalidRequest."""
    _require_keeper(budget.organization_id, user)
    _lock(budget.organization_id)
    row = Budget.objects.full().filter(pk=budget.pk).first()
    if row is None:
        raise NotFound(_("There is no such budget."))
    row.alert_percents, row.is_hard = _checked(limit_nano, alert_percents), is_hard
    row.save(update_fields=["alert_percents", "is_hard"])
    set_limit(row, limit_nano)
    return row


@transaction.atomic
def remove_budget(*, budget: Budget, user: User) -> None:
    """The end of a budget, with its record of use. Doing it twice changes nothing. Raises NotFound, MayNotBudget."""
    _require_keeper(budget.organization_id, user)
    _lock(budget.organization_id)
    Budget.objects.filter(pk=budget.pk).delete()


def set_limit(budget: Budget, limit_nano: int) -> None:
    """Under the lock of the wallet. What was refused under the old limit is no news under the new one."""
    budget.limit_nano = limit_nano
    budget.save(update_fields=["limit_nano"])
    BudgetUse.objects.filter(budget=budget).exclude(refused_at=None).update(refused_at=None)


def _require_keeper(organization_id: int, user: User) -> None:
    role = Membership.objects.filter(organization_id=organization_id, user=user).values_list("role", flat=True).first()
    if role is None:
        raise NotFound(_("There is no such budget."))
    if role not in BUDGET_KEEPERS:
        raise MayNotBudget


def _lock(organization_id: int) -> None:
    """As an opening run locks it, so that a budget changes between runs."""
    ledger.wallet_of(organization_id, WalletKind.CREDIT)
    ledger.lock_credit([organization_id])


def _checked(limit_nano: int, alert_percents: Sequence[int]) -> list[int]:
    if not 0 <= limit_nano <= MAX_BUDGET_NANO:
        raise InvalidRequest(_("A budget is an amount from $0 to a billion dollars."), param="limit_nano")
    if len(alert_percents) > MAX_PERCENTS or not all(0 < percent <= MAX_PERCENT for percent in alert_percents):
        raise InvalidRequest(_("Alerts are at most 10 shares of the limit, from 1 to 1000 %."), param="alert_percents")
    return sorted(set(alert_percents))
