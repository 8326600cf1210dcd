"""A period is paid from credit, and shared like a charge of a run. All of it under the lock of the credit wallet."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from store.accounts.models import Organization, Role, User
from store.catalog.commissions import commission_of
from store.catalog.models import CALLABLE, Listing
from store.catalog.royalties import plan_for
from store.errors import NotFound, PermissionDenied
from store.ledger import actions as ledger
from store.ledger.dollars import dollars
from store.ledger.errors import InsufficientCredit
from store.ledger.models import WalletKind
from store.ledger.plans import keep_plans
from store.ledger.shares import Plan, split, transfers
from store.subscriptions.models import Subscription, SubscriptionPeriod, SubscriptionPlan
from store.subscriptions.months import months_after

SPENDING_ROLES = (Role.OWNER, Role.ADMIN, Role.BILLING)  # as for buying credit


def check_spender(organization: Organization, user: User) -> None:
    """Raises NotFound for strangers, PermissionDenied for members who may not spend by the month."""
    membership = organization.memberships.filter(user=user).first()
    if membership is None:
        raise NotFound(_("There is no such organization."))
    if membership.role not in SPENDING_ROLES:
        raise PermissionDenied(_("Your role in this organization may not subscribe."))


def locked_purse(organization: Organization) -> ledger.Purse:
    """Locks what the organization spends from, before anything else of its own."""
    ledger.wallet_of(organization.pk, WalletKind.CREDIT)
    return ledger.lock_credit([organization.pk])[organization.pk]


def locked_subscription(subscription: Subscription) -> tuple[Subscription, ledger.Purse]:
    """The row as it is now, and the locked credit of whom it belongs to."""
    purse = locked_purse(subscription.organization)
    rows = Subscription.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("organization", "listing__organization", "plan", "next_plan").get(
        pk=subscription.pk
    ), purse


def can_be_called(listing: Listing) -> bool:
    """Whether customers get something for their money."""
    return listing.status in CALLABLE and not listing.is_private and listing.deleted_at is None


def pay_period(
    subscription: Subscription,
    plan: SubscriptionPlan,
    purse: ledger.Purse,
    *,
    starts_at: datetime,
    credit_nano: int = 0,
) -> SubscriptionPeriod:
    """Takes a month's price less ``credit_nano`` from credit, and begins it. Raises InsufficientCredit: then nothing has moved.

    What it is shared by is frozen in the period: the commission and the royalties of this moment.
    """
    charge_nano = plan.price_nano - credit_nano
    if charge_nano > purse.available_nano:
        words = _("A month of this plan costs %(price)s, and the balance has %(left)s. Add credit to go on.")
        raise InsufficientCredit(words % {"price": dollars(charge_nano), "left": dollars(purse.available_nano)})
    listing, commission_ppm = subscription.listing, commission_of(subscription.listing).ppm
    shares = plan_for(listing=listing, payer=subscription.organization, commission_ppm=commission_ppm)
    period = SubscriptionPeriod.objects.create(
        subscription=subscription, organization=subscription.organization, listing=listing, plan=plan, starts_at=starts_at,
        ends_at=months_after(subscription.anchor_at, subscription.months + 1), credit_nano=credit_nano, charge_nano=charge_nano,
        commission_ppm=commission_ppm, shares_id=None if shares.is_plain else keep_plans([shares])[shares],
    )  # fmt: skip
    _share(period, shares, purse)
    return period


def _share(period: SubscriptionPeriod, shares: Plan, purse: ledger.Purse) -> None:
    """Last, for these wallets are everybody's: see ``ledger.actions``."""
    try:
        earnings, platform_id = ledger.sinks(shares.earners)
    except ledger.WalletMissing as missing:
        ledger.ensure_wallets(missing.organization_ids, missing.kind)
        earnings, platform_id = ledger.sinks(shares.earners)
    ledger.transfer_all(
        transfers(
            split(period.charge_nano, shares), prefix=f"subscription:{period.pk}", debit_id=purse.wallet_id,
            earnings=earnings, platform_id=platform_id,
        )
    )  # fmt: skip
