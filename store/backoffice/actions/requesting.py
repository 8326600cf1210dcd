"""Asking for something: done at once where one person may, written down for a second one where the amount is large."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from store.accounts.models import User
from store.backoffice.actions.doing import do
from store.backoffice.actions.permission import ASK, check_may, check_words
from store.backoffice.actions.weighing import weigh
from store.backoffice.actions.wish import Wish
from store.backoffice.errors import ActionDecided
from store.backoffice.models import ActionKind, ActionStatus, AdminAction
from store.ledger.dollars import NANO_PER_DOLLAR
from store.ledger.earnings import mark_now

WAITS: Final = timedelta(days=3)  # for a second person
WINDOW: Final = timedelta(days=1)  # many small ones of this time count as one large


@transaction.atomic
def request_action(*, wish: Wish, user: User) -> AdminAction:
    """Does it, or writes it down for a second person: the row says which.

    Raises PermissionDenied, InvalidRequest (``reason``), ActionDecided, and what weighing and doing it raise.
    """
    check_may(user, ASK[wish.kind])
    reason = check_words(wish.reason, param="reason", required=True)
    User.objects.select_for_update(no_key=True).only("pk").get(
        pk=user.pk
    )  # what one person asks for is added up in turn
    known = AdminAction.objects.filter(pk=wish.id).first()
    if known is not None:
        if (known.requested_by_id, known.kind) != (user.pk, wish.kind) or wish.amount_nano not in (
            None,
            known.amount_nano,
        ):
            raise ActionDecided
        return known
    weighed = _weighed(wish)
    needs = needs_approval(weighed, user)
    action = _written(weighed, reason, user, needs=needs)
    if not needs:
        do(action)
    return action


def _weighed(wish: Wish) -> Wish:
    """What is held back is locked and marked before it is looked at: so much is let go, whatever is earned until somebody approves."""
    if wish.kind == ActionKind.RELEASE_HOLD_BACK and wish.organization is not None:
        wish = replace(wish, earnings_mark=mark_now(wish.organization.pk))
    return weigh(wish)


def _written(wish: Wish, reason: str, user: User, *, needs: bool) -> AdminAction:
    return AdminAction.objects.create(
        id=wish.id, kind=wish.kind, organization=wish.organization, debit=wish.debit, credit=wish.credit, topup=wish.topup,
        payout=wish.payout, earnings_mark=wish.earnings_mark, amount_nano=wish.amount_nano, of_spent=wish.of_spent, days=wish.days, note=wish.note, code=wish.code,
        terms=wish.code_terms.kept() if wish.code_terms else None, reason=reason, needs_approval=needs, requested_by=user,
        status=ActionStatus.WAITING if needs else ActionStatus.DONE,
        expires_at=timezone.now() + WAITS if needs else None,
    )  # fmt: skip


def needs_approval(wish: Wish, user: User) -> bool:
    """Whether the amount, with all that this person has moved alone within a day, is above FOUR_EYES_USD.

    Of a promo code without a limit nobody knows what it will come to, so a second person looks at it.
    """
    if wish.amount_nano is None:
        return wish.kind == ActionKind.PROMO_CODE
    alone = AdminAction.objects.filter(
        requested_by=user, needs_approval=False, status=ActionStatus.DONE, created_at__gt=timezone.now() - WINDOW
    )
    moved = alone.aggregate(nano=Sum("amount_nano"))["nano"] or 0
    return wish.amount_nano + int(moved) > settings.FOUR_EYES_USD * NANO_PER_DOLLAR
