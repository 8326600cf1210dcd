"""Money in and out of the store."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from store.accounts.models import Membership, Organization, Role, User
from store.billing.models import Topup, TopupMode
from store.errors import InvalidRequest, NotFound, PermissionDenied
from store.ledger import actions as ledger
from store.ledger.models import TransferKind, WalletKind

MAX_TOPUP_NANO = 10_000 * 10**9  # ten thousand dollars at once
BUYERS = (Role.OWNER, Role.ADMIN, Role.BILLING)


@transaction.atomic
def top_up_test(*, organization: Organization, user: User | None, amount_nano: int) -> Topup:
    """Gives an organization credit that was never paid for, out of the test bank. ``user`` None: the store itself gives it.

    Raises PermissionDenied where the store takes real money only or the user may not buy, InvalidRequest on an amount out of range.
    """
    if not settings.TEST_MONEY:
        raise PermissionDenied(_("Test money is switched off in this store."))
    if not 0 < amount_nano <= MAX_TOPUP_NANO:
        raise InvalidRequest(_("The amount must be above 0 and at most $10,000."), param="amount")
    if user is not None:
        require_buyer(organization, user)
    topup = Topup.objects.create(
        id=uuid7(), organization=organization, amount_nano=amount_nano, mode=TopupMode.TEST, created_by=user
    )
    ledger.transfer(
        key=f"topup:{topup.id}",
        debit_id=ledger.store_wallet(WalletKind.TEST_BANK).id,
        credit_id=ledger.wallet_of(organization.id, WalletKind.CREDIT).id,
        amount_nano=amount_nano,
        kind=TransferKind.TOPUP,
    )
    return topup


def require_buyer(organization: Organization, user: User) -> None:
    """Raises NotFound for strangers, PermissionDenied for members who may not buy."""
    role = Membership.objects.filter(organization=organization, user=user).values_list("role", flat=True).first()
    if role is None:
        raise NotFound(_("There is no such organization."))
    if role not in BUYERS:
        raise PermissionDenied(_("Your role in this organization may not buy credit."))
