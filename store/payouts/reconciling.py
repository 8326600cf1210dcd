"""Accounts of which no event came: Stripe is asked."""

from __future__ import annotations

import logging
from datetime import timedelta

import stripe
from django.db.models import F, Q
from django.utils import timezone

from store.billing.customers import place_now
from store.payouts.accounts import look_at_account
from store.payouts.models import AccountState, ConnectAccount

BATCH = 100
READY_EVERY = timedelta(days=1)  # an account that is ready changes seldom
OPEN_EVERY = timedelta(minutes=15)

logger = logging.getLogger(__name__)


def look_at_open_accounts() -> int:
    """Looks at those that were not looked at for long, the longest first; returns how many. Raises stripe.StripeError."""
    now = timezone.now()
    stale = Q(looked_at=None) | Q(looked_at__lt=now - READY_EVERY)
    stale |= Q(looked_at__lt=now - OPEN_EVERY) & ~Q(state__in=(AccountState.ACTIVE, AccountState.REJECTED))
    mine = ConnectAccount.objects.filter(stale, place=place_now(), stripe_id__isnull=False).select_related(
        "organization"
    )
    looked = 0
    for account in mine.order_by(F("looked_at").asc(nulls_first=True))[:BATCH]:
        try:
            look_at_account(account)
        except (stripe.InvalidRequestError, stripe.PermissionError) as error:  # of other keys, or deleted at Stripe
            logger.warning("account %s is not there any more: %s", account, error)
            ConnectAccount.objects.filter(pk=account.pk).update(looked_at=now)
        looked += 1
    return looked
