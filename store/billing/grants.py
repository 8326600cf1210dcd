"""Granted credit: given until a day, spent first, and what is left of it goes back.

An organization has one credit wallet, and a call knows nothing of grants. What was spent of a grant follows from what left the wallet since:
every unit that was spent is of the grant that ends first, and of what the organization bought only where nothing granted is left. That is
counted here, from the ledger, each transfer once (:func:`count`). Grants are financed by the platform's wallet, and go back there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from store.accounts.models import Organization, User
from store.billing.letters import write_to_buyers
from store.billing.models import Grant, GrantSource, GrantTally, Topup
from store.errors import InvalidRequest, PermissionDenied
from store.ledger import actions as ledger
from store.ledger.dollars import dollars
from store.ledger.models import Hold, HoldStatus, TransferKind, Wallet, WalletKind
from store.ledger.sql import execute, text_array

MAX_GRANT_NANO: Final = 10_000 * 10**9  # ten thousand dollars at once
MAX_REASON: Final = 200
MAX_DAYS: Final = 3650
NOTICE: Final = timedelta(days=3)  # before its end people are told of what is left
WELCOME: Final = timedelta(days=7)  # since people signed up: who came before there was a welcome gets none
NOT_SPENDING: Final = (TransferKind.REFUND, TransferKind.DISPUTE, TransferKind.GRANT)
BATCH: Final = 500


@transaction.atomic
def grant_credit(
    *,
    organization: Organization,
    amount_nano: int,
    expires_at: datetime,
    reason: str,
    source: GrantSource = GrantSource.ADMIN,
    user: User | None = None,
    topup: Topup | None = None,
    id: UUID | None = None,
) -> Grant:
    """Gives credit. ``user`` is who gave it; for the source ADMIN they must be staff. ``topup``: what it was added to; ``id``: its own.

    Raises InvalidRequest naming the field, PermissionDenied.
    """
    if source == GrantSource.ADMIN and not (user and user.is_staff and user.is_active):
        raise PermissionDenied(_("Only the people who run the store give credit."))
    if not 0 < amount_nano <= MAX_GRANT_NANO:
        raise InvalidRequest(_("The amount must be above 0 and at most $10,000."), param="amount")
    if not timezone.now() < expires_at <= timezone.now() + timedelta(days=MAX_DAYS):
        raise InvalidRequest(_("Granted credit ends in the next ten years."), param="expires_at")
    if not 0 < len(reason.strip()) <= MAX_REASON:
        raise InvalidRequest(_("Say why, in %d characters at most.") % MAX_REASON, param="reason")
    credit = lock_and_count(organization.pk)
    grant = Grant.objects.create(
        id=id or uuid7(), organization=organization, source=source, reason=reason.strip(), amount_nano=amount_nano, expires_at=expires_at,
        topup=topup, created_by=user,
    )  # fmt: skip
    _begin_tally(credit, organization.pk)
    ledger.transfer(
        key=f"grant:{grant.pk}", debit_id=ledger.store_wallet(WalletKind.PLATFORM).pk, credit_id=credit.pk,
        amount_nano=amount_nano, kind=TransferKind.GRANT,
    )  # fmt: skip
    return grant


def lock_and_count(organization_id: int) -> Wallet:
    """The organization's credit wallet, locked until the transaction ends, with what was spent of its grants counted."""
    ledger.wallet_of(organization_id, WalletKind.CREDIT)
    ledger.lock_credit([organization_id])
    wallet = Wallet.objects.get(organization_id=organization_id, kind=WalletKind.CREDIT)
    _count(wallet, organization_id)
    return wallet


def own_nano(organization_id: int) -> int:
    """What is left of what the organization bought, in nano-dollars: no granted credit in it. Locks, as :func:`lock_and_count` does."""
    wallet = lock_and_count(organization_id)
    granted = sum(grant.left_nano for grant in Grant.objects.open().filter(organization_id=organization_id))
    return wallet.posted_nano - granted


def open_grants(organization: Organization) -> list[Grant]:
    """The grants of which something is left now, as they are spent; their ``spent_nano`` counts what was spent until now."""
    grants = list(Grant.objects.open().filter(organization=organization))
    tally = GrantTally.objects.filter(wallet__organization=organization).first()
    if tally:
        spent, _last = _spent(tally.pk, tally.counted_id)
        _attribute(grants, spent)
    return [grant for grant in grants if grant.left_nano]


def _spent(wallet_id: int, after_id: int) -> tuple[int, int]:
    """What was spent from a wallet by the transfers after this one, and the last of these."""
    rows = execute(
        """SELECT coalesce(sum(amount_nano), 0)::bigint, coalesce(max(id), %s)::bigint FROM ledger_transfer
           WHERE debit_id = %s AND id > %s AND kind <> ALL(%s::text[])""",
        after_id,
        wallet_id,
        after_id,
        text_array(NOT_SPENDING),
    )
    return rows[0][0], rows[0][1]


def _attribute(grants: Sequence[Grant], spent: int) -> int:
    """Takes what was spent from the grants, in their order; returns how much of it was theirs."""
    left = spent
    for grant in grants:
        part = min(grant.left_nano, left)
        grant.spent_nano += part
        left -= part
    return spent - left


def _count(wallet: Wallet, organization_id: int) -> None:
    """Writes down what was spent since the last count. Under the lock of the wallet."""
    grants = list(Grant.objects.open().filter(organization_id=organization_id))
    tally = GrantTally.objects.filter(pk=wallet.pk).first()
    if tally is None or not grants:
        return
    spent, last = _spent(wallet.pk, tally.counted_id)
    granted = _attribute(grants, spent)
    for grant in grants:
        _keep(grant)
    GrantTally.objects.filter(pk=wallet.pk).update(
        counted_id=last, granted_nano=F("granted_nano") + granted, own_nano=F("own_nano") + spent - granted
    )


def _begin_tally(wallet: Wallet, organization_id: int) -> None:
    """Spending counts from here on. Where an older grant is open, it has been counted up to here already."""
    if Grant.objects.open().filter(organization_id=organization_id).count() > 1:
        return
    _nothing, last = _spent(wallet.pk, 0)
    tally = GrantTally.objects.filter(pk=wallet.pk)
    begun = tally.update(
        since_id=last, counted_id=last, earlier_nano=F("earlier_nano") + F("granted_nano"), granted_nano=0, own_nano=0
    )
    if not begun:
        GrantTally.objects.create(wallet=wallet, since_id=last, counted_id=last)


def _keep(grant: Grant) -> None:
    Grant.objects.filter(pk=grant.pk).update(
        spent_nano=grant.spent_nano, returned_nano=grant.returned_nano, ended_at=None if grant.left_nano else Now()
    )


def due_grants() -> list[int]:
    """Ids of organizations with a grant whose time has come."""
    due = Grant.objects.filter(ended_at=None, expires_at__lte=timezone.now())
    return sorted(set(due.values_list("organization_id", flat=True)[:BATCH]))


@transaction.atomic
def end_grants(organization_id: int) -> int:
    """Moves back what is left of the grants whose time has come; returns nano-dollars.

    What was held for calls when a grant ended stays granted until those have ended. No more than what is available moves: the rest is
    looked at again.
    """
    wallet = lock_and_count(organization_id)
    due = Grant.objects.open().filter(organization_id=organization_id, expires_at__lte=timezone.now())
    available, kept, moved = wallet.available_nano, 0, 0
    for grant in due:
        keep = min(grant.left_nano, max(_held_before(wallet, grant.expires_at) - kept, 0))
        kept += keep
        amount = min(grant.left_nano - keep, available)
        if amount > 0:
            take_back(grant, wallet, amount)
            available -= amount
            moved += amount
    return moved


def take_back(grant: Grant, wallet: Wallet, amount_nano: int) -> None:
    """Moves this much of a grant back to the platform. The wallet is locked and counted."""
    ledger.transfer(
        key=f"grant:{grant.pk}:back:{grant.returned_nano}", debit_id=wallet.pk,
        credit_id=ledger.store_wallet(WalletKind.PLATFORM).pk, amount_nano=amount_nano, kind=TransferKind.GRANT,
    )  # fmt: skip
    grant.returned_nano += amount_nano
    _keep(grant)


def _held_before(wallet: Wallet, when: datetime) -> int:
    held = Hold.objects.filter(wallet=wallet, status=HoldStatus.OPEN, created_at__lt=when)
    return held.aggregate(sum=Sum("amount_nano"))["sum"] or 0


def count_all() -> int:
    """Counts for every organization with a grant, so that no count has much to read. Returns how many."""
    organizations = sorted(set(Grant.objects.open().values_list("organization_id", flat=True)))
    for organization_id in organizations:
        with transaction.atomic():
            lock_and_count(organization_id)
    return len(organizations)


def welcome() -> int:
    """Gives SIGNUP_GRANT_NANO to people who signed up within WELCOME and have confirmed their address; returns how many there were."""
    if not settings.SIGNUP_GRANT_NANO:
        return 0
    confirmed = EmailAddress.objects.filter(verified=True, user__is_active=True)
    new = Organization.objects.filter(
        personal_of__in=confirmed.values("user"), created_at__gt=timezone.now() - WELCOME
    ).exclude(grants__source=GrantSource.SIGN_UP)
    chosen = list(new.order_by("pk")[:BATCH])
    for organization in chosen:
        grant_credit(
            organization=organization, amount_nano=settings.SIGNUP_GRANT_NANO, reason=_("Welcome"), source=GrantSource.SIGN_UP,
            expires_at=timezone.now() + timedelta(days=settings.SIGNUP_GRANT_DAYS),
        )  # fmt: skip
    return len(chosen)


def warn_of_ends() -> int:
    """Tells by mail of grants that end within NOTICE and of which something is left; returns how many grants."""
    now = timezone.now()
    soon = Grant.objects.open().filter(expires_at__gt=now, expires_at__lte=now + NOTICE, warned_at=None)
    ids = soon.filter(expires_at__gt=F("created_at") + NOTICE).values_list("pk", flat=True)[:BATCH]
    return sum(_warn(grant_id) for grant_id in list(ids))


@transaction.atomic
def _warn(grant_id: UUID) -> bool:
    if Grant.objects.filter(pk=grant_id, warned_at=None).update(warned_at=Now()) != 1:
        return False
    grant = Grant.objects.select_related("organization").get(pk=grant_id)
    left = next((each.left_nano for each in open_grants(grant.organization) if each.pk == grant.pk), 0)
    if left:
        context = {"amount": dollars(left), "when": f"{grant.expires_at:%Y-%m-%d %H:%M} UTC", "reason": grant.reason}
        write_to_buyers(grant.organization, key=f"grant:{grant.pk}:ends", template="grant_ends", context=context)
    return bool(left)
