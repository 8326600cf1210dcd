"""Who is paid: an organization's account at Stripe, made once, filled in on Stripe's own page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import stripe
from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from store.accounts.models import Membership, Organization, User
from store.billing.customers import place_now
from store.billing.stripe_client import client, unavailable
from store.errors import InvalidRequest, NotFound, PermissionDenied
from store.payouts.errors import AccountNotReady, AccountRejected
from store.payouts.models import CASHIERS, AccountState, ConnectAccount
from store.payouts.telling import tell_account

MOST_REQUIREMENTS = 50
RETURN, REFRESH = "/provider/payouts/return", "/provider/payouts/continue"


def require_cashier(organization: Organization, user: User) -> None:
    """Raises NotFound for strangers, PermissionDenied for members whose role is not about money."""
    role = Membership.objects.filter(organization=organization, user=user).values_list("role", flat=True).first()
    if role is None:
        raise NotFound(_("There is no such organization."))
    if role not in CASHIERS:
        raise PermissionDenied(_("Your role in this organization may not see or move its earnings."))


def account_of(organization: Organization) -> ConnectAccount | None:
    """The account at where payouts of today go; None where nobody has begun."""
    return ConnectAccount.objects.filter(organization=organization, place=place_now()).first()


def ready_account(organization: Organization) -> ConnectAccount:
    """The account, if it can be paid. Raises AccountNotReady."""
    account = account_of(organization)
    if account is None or account.state != AccountState.ACTIVE:
        raise AccountNotReady
    return account


def start_onboarding(*, organization: Organization, user: User) -> str:
    """The address of Stripe's page for this account: a new one each time, for it works once.

    Raises NotFound, PermissionDenied, InvalidRequest where the organization sells nothing, AccountRejected, StripeUnavailable.
    """
    require_cashier(organization, user)
    if not hasattr(organization, "provider"):
        raise InvalidRequest(_("Only a provider is paid. Make the organization a provider first."))
    account, _is_new = ConnectAccount.objects.get_or_create(
        organization=organization, place=place_now(), defaults={"key": uuid7()}
    )
    if account.state == AccountState.REJECTED:
        raise AccountRejected
    try:
        link = client().v1.account_links.create(
            {
                "account": _made(account),
                "type": "account_onboarding",
                "return_url": settings.PUBLIC_URL + RETURN,
                "refresh_url": settings.PUBLIC_URL + REFRESH,
            },
            {"idempotency_key": f"account-link:{uuid7()}"},  # of this press of a button
        )
    except stripe.StripeError as error:
        raise unavailable() from error
    return link.url


def look_at_account(account: ConnectAccount) -> ConnectAccount:
    """Writes down what Stripe says of it now. Of several looks the newest counts. Raises stripe.StripeError."""
    if account.stripe_id is None:
        return account
    began, before = timezone.now(), account.state
    said = client().v1.accounts.retrieve(account.stripe_id).to_dict()
    newest = Q(looked_at=None) | Q(looked_at__lte=began)
    is_written = ConnectAccount.objects.filter(newest, pk=account.pk).update(looked_at=began, **_fields(said))
    account.refresh_from_db()
    if is_written and before == AccountState.ACTIVE != account.state:
        tell_account(account)
    return account


def refresh_account(*, organization: Organization, user: User) -> ConnectAccount | None:
    """Asks Stripe, as somebody who comes back from its page wants to see it. Raises NotFound, PermissionDenied, StripeUnavailable."""
    require_cashier(organization, user)
    account = account_of(organization)
    try:
        return look_at_account(account) if account else None
    except stripe.StripeError as error:
        raise unavailable() from error


def _made(account: ConnectAccount) -> str:
    """Stripe's id of it. The store bears losses and Stripe's fees; the person has Stripe's small dashboard, and is asked by Stripe."""
    if account.stripe_id is None:
        made = client().v1.accounts.create(
            {
                "controller": {
                    "fees": {"payer": "application"},
                    "losses": {"payments": "application"},
                    "requirement_collection": "stripe",
                    "stripe_dashboard": {"type": "express"},
                },
                "capabilities": {"transfers": {"requested": True}},
                "settings": {"payouts": {"schedule": {"interval": "manual"}}},
                "metadata": {"organization": str(account.organization_id), "account": str(account.key)},
            },
            {"idempotency_key": f"account:{account.key}"},
        )
        ConnectAccount.objects.filter(pk=account.pk, stripe_id=None).update(stripe_id=made.id)
        account.refresh_from_db()
    return str(account.stripe_id)


def _fields(said: Mapping[str, Any]) -> dict[str, Any]:
    requirements = said.get("requirements") or {}
    disabled = requirements.get("disabled_reason") or ""
    due = requirements.get("currently_due") or []
    if disabled.startswith("rejected"):
        state = AccountState.REJECTED
    elif not said["details_submitted"]:
        state = AccountState.INCOMPLETE
    elif said["payouts_enabled"] and said.get("capabilities", {}).get("transfers") == "active":
        state = AccountState.ACTIVE
    else:
        state = AccountState.RESTRICTED if due else AccountState.CHECKING
    return {
        "state": state, "requirements": due[:MOST_REQUIREMENTS], "disabled_reason": disabled, "country": said.get("country") or "",
        "currency": said.get("default_currency") or "",
    }  # fmt: skip
