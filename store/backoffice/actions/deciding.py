"""A second person decides. Of two who do so at once, one has an effect."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from store.accounts.models import User
from store.backoffice.actions.doing import do
from store.backoffice.actions.permission import ASK, DECIDE, check_may, check_words
from store.backoffice.errors import ActionDecided, OwnRequest
from store.backoffice.models import ActionKind, ActionStatus, AdminAction


@transaction.atomic
def approve(*, action: AdminAction, user: User, answer: str = "") -> AdminAction:
    """Does what another person asked for, who must still be allowed to ask.

    Raises OwnRequest, PermissionDenied, InvalidRequest (``answer``), ActionDecided, and what doing it raises: then it waits still.
    """
    decided = _decide(action, user, ActionStatus.DONE, check_words(answer, param="answer", required=False))
    check_may(decided.requested_by, ASK[ActionKind(decided.kind)])
    do(decided)
    return decided


@transaction.atomic
def refuse(*, action: AdminAction, user: User, answer: str) -> AdminAction:
    """Does nothing, and says why. Raises OwnRequest, PermissionDenied, InvalidRequest (``answer``), ActionDecided."""
    return _decide(action, user, ActionStatus.REFUSED, check_words(answer, param="answer", required=True))


def _decide(action: AdminAction, user: User, to: ActionStatus, answer: str) -> AdminAction:
    check_may(user, DECIDE)
    if action.requested_by_id == user.pk:
        raise OwnRequest
    waiting = AdminAction.objects.waiting().filter(pk=action.pk)
    if waiting.update(status=to, decided_by=user, decided_at=Now(), answer=answer) != 1:
        raise ActionDecided
    related = ("organization", "debit", "credit", "topup__organization", "code", "payout__organization", "requested_by")
    return AdminAction.objects.select_related(*related).get(pk=action.pk)


def expire_actions() -> int:
    """Ends the requests that nobody decided in time. Returns how many."""
    late = AdminAction.objects.filter(status=ActionStatus.WAITING, expires_at__lte=timezone.now())
    return late.update(status=ActionStatus.EXPIRED)
