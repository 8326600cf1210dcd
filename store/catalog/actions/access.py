"""Who may download a gated listing's files: asked for, granted, refused, taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import Organization, User
from store.catalog.actions.errors import NotInThisState
from store.catalog.actions.listings import check_reason
from store.catalog.actions.moves import Transitions, move
from store.catalog.actions.notices import tell
from store.catalog.actions.permission import locked, publishers_of
from store.catalog.models import AccessRequest, AccessStatus, Listing, NoticeKind, Weights
from store.errors import InvalidRequest, NotFound

MAX_ANSWER = 2000
MAX_REASON = 500

S = AccessStatus
TRANSITIONS: Transitions = {
    S.PENDING: (S.PENDING, S.GRANTED, S.REFUSED),
    S.GRANTED: (S.PENDING, S.GRANTED, S.REFUSED),  # asked for again when it has expired; taken back
    S.REFUSED: (S.PENDING, S.GRANTED),
}


@transaction.atomic
def ask_access(*, listing: Listing, user: User, answers: Sequence[str] = ()) -> AccessRequest:
    """Asks, with an answer to each of the listing's questions, in their order; where the gate is automatic, access is there at once.

    Asking again while it waits replaces the answers; a grant that is good stays. Raises NotFound, NotInThisState (not gated),
    InvalidRequest (``answers``).
    """
    row = Listing.objects.select_for_update(of=("self",), no_key=True).select_related("organization").get(pk=listing.pk)
    if not Listing.objects.visible_to(user).filter(pk=row.pk).exists():
        raise NotFound(_("There is no such model."))
    if row.weights != Weights.GATED:
        raise NotInThisState(_("The files of this model are not for those who ask."))
    if Organization.objects.visible_to(user).filter(pk=row.organization_id).exists():
        raise NotInThisState(_("Your organization owns this model: its files are open to you."))
    answered = _answered(row.gate_questions, answers)
    access, is_new = AccessRequest.objects.get_or_create(listing=row, user=user, defaults={"answers": answered})
    if _is_open(access):
        return access
    move(access, S.PENDING, TRANSITIONS, answers=answered, reason="", decided_at=None, decided_by=None, expires_at=None)
    if row.gate_is_automatic:
        move(access, S.GRANTED, TRANSITIONS, decided_at=timezone.now(), expires_at=_expiry(row))
    elif is_new or access.status == S.PENDING:
        tell(publishers_of(row), NoticeKind.ACCESS_ASKED, row, person=user.get_full_name(), email=user.email)
    return access


def _answered(questions: Sequence[str], answers: Sequence[str]) -> list[list[str]]:
    texts = [answer.strip() for answer in answers]
    if len(texts) != len(questions) or not all(0 < len(text) <= MAX_ANSWER and "\0" not in text for text in texts):
        raise InvalidRequest(
            _("Answer each of the %(count)d questions, in at most 2000 characters.") % {"count": len(questions)},
            param="answers",
        )
    return [[question, text] for question, text in zip(questions, texts, strict=True)]


def _is_open(access: AccessRequest) -> bool:
    return access.status == S.GRANTED and (access.expires_at is None or access.expires_at > timezone.now())


def _expiry(listing: Listing) -> datetime | None:
    return timezone.now() + timedelta(days=listing.gate_days) if listing.gate_days else None


@transaction.atomic
def grant_access(*, access: AccessRequest, user: User) -> AccessRequest:
    """Lets the asker in, for the listing's ``gate_days``. Granting again changes nothing. Raises NotFound, NotInThisState."""
    row, current = _own(access, user)
    if not _is_open(current):
        _decide(current, S.GRANTED, user, expires_at=_expiry(row), reason="")
        tell([current.user], NoticeKind.ACCESS_GRANTED, row)
    return current


@transaction.atomic
def refuse_access(*, access: AccessRequest, user: User, reason: str = "") -> AccessRequest:
    """Does not. The reason is told to the asker. Raises NotFound, NotInThisState."""
    row, current = _own(access, user)
    if current.status == S.GRANTED:
        raise NotInThisState(_("Access was granted: take it back instead."))
    return _refuse(row, current, user, reason)


@transaction.atomic
def revoke_access(*, access: AccessRequest, user: User, reason: str = "") -> AccessRequest:
    """Takes a grant back: the next download is refused. Raises NotFound, NotInThisState."""
    row, current = _own(access, user)
    if current.status != S.GRANTED:
        raise NotInThisState(_("There is no access to take back."))
    return _refuse(row, current, user, reason)


def _own(access: AccessRequest, user: User) -> tuple[Listing, AccessRequest]:
    row = locked(access.listing, user)
    return row, AccessRequest.objects.select_related("user").get(pk=access.pk)


def _refuse(listing: Listing, access: AccessRequest, user: User, reason: str) -> AccessRequest:
    _decide(access, S.REFUSED, user, expires_at=None, reason=check_reason(reason)[:MAX_REASON])
    tell([access.user], NoticeKind.ACCESS_REFUSED, listing, reason=access.reason)
    return access


def _decide(access: AccessRequest, to: AccessStatus, user: User, *, expires_at: datetime | None, reason: str) -> None:
    move(access, to, TRANSITIONS, decided_at=timezone.now(), decided_by=user, expires_at=expires_at, reason=reason)
