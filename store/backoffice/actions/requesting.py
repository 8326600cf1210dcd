"""Asking for something: done at once where one person may, written down for a second one where the amount is large."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from store.accounts.models import Organization, User
from store.backoffice.actions.doing import do
from store.backoffice.actions.permission import ASK, check_may, check_words
from store.backoffice.errors import ActionDecided
from store.backoffice.models import ActionKind, ActionStatus, AdminAction
from store.billing.grants import MAX_DAYS, MAX_GRANT_NANO
from store.errors import InvalidRequest
from store.ledger.dollars import MAX_DOLLARS, NANO_PER_DOLLAR, dollars
from store.ledger.models import Wallet

WAITS: Final = timedelta(days=3)  # for a second person
WINDOW: Final = timedelta(days=1)  # many small ones of this time count as one large


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What somebody wants to do. ``id``: asking again with the same one is asking once. Amounts in nano-dollars."""

    kind: ActionKind
    reason: str
    organization: Organization | None = None
    debit: Wallet | None = None
    credit: Wallet | None = None
    amount_nano: int | None = None
    days: int | None = None  # that granted credit can be spent
    note: str = ""  # what the organization reads
    id: UUID = field(default_factory=uuid7)

    @property
    def amount(self) -> str:
        """In dollars; empty where it is about none."""
        return "" if self.amount_nano is None else dollars(self.amount_nano)


@transaction.atomic
def request_action(*, wish: Wish, user: User) -> AdminAction:
    """Does it, or writes it down for a second person: the row says which.

    Raises PermissionDenied, InvalidRequest (``reason``, ``amount``, ``organization``, ``credit``), and what doing it raises.
    """
    check_may(user, ASK[wish.kind])
    reason = check_words(wish.reason, param="reason", required=True)
    _check_shape(wish)
    User.objects.select_for_update(no_key=True).only("pk").get(
        pk=user.pk
    )  # what one person asks for is added up in turn
    known = AdminAction.objects.filter(pk=wish.id).first()
    if known is not None:
        if (known.requested_by_id, known.kind, known.amount_nano) != (user.pk, wish.kind, wish.amount_nano):
            raise ActionDecided
        return known
    needs = needs_approval(wish, user)
    action = AdminAction.objects.create(
        id=wish.id, kind=wish.kind, organization=wish.organization, debit=wish.debit, credit=wish.credit,
        amount_nano=wish.amount_nano, days=wish.days, note=wish.note, reason=reason, needs_approval=needs, requested_by=user,
        status=ActionStatus.WAITING if needs else ActionStatus.DONE,
        expires_at=timezone.now() + WAITS if needs else None,
    )  # fmt: skip
    if not needs:
        do(action)
    return action


def needs_approval(wish: Wish, user: User) -> bool:
    """Whether the amount, with all that this person has moved alone within a day, is above FOUR_EYES_USD."""
    if wish.amount_nano is None:
        return False
    alone = AdminAction.objects.filter(
        requested_by=user, needs_approval=False, status=ActionStatus.DONE, created_at__gt=timezone.now() - WINDOW
    )
    moved = alone.aggregate(nano=Sum("amount_nano"))["nano"] or 0
    return wish.amount_nano + int(moved) > settings.FOUR_EYES_USD * NANO_PER_DOLLAR


def _check_shape(wish: Wish) -> None:
    if wish.amount_nano is not None and not 0 < wish.amount_nano <= MAX_DOLLARS * NANO_PER_DOLLAR:
        raise InvalidRequest(_("The amount must be above 0 and at most $1,000,000."), param="amount")
    if wish.kind == ActionKind.ADJUST:
        if wish.debit is None or wish.credit is None or wish.amount_nano is None:
            raise InvalidRequest(_("Choose two wallets and an amount."), param="credit")
        if wish.debit == wish.credit:
            raise InvalidRequest(_("Choose two different wallets."), param="credit")
    elif wish.organization is None:
        raise InvalidRequest(_("Choose an organization."), param="organization")
    if wish.kind == ActionKind.GRANT and not (
        wish.days and 0 < wish.days <= MAX_DAYS and 0 < (wish.amount_nano or 0) <= MAX_GRANT_NANO
    ):
        raise InvalidRequest(_("A grant is at most $10,000, and can be spent for one to 3650 days."), param="amount")
