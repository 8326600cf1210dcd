"""A moderator's word on a submission. ``store.moderation`` calls these, and keeps a row of each decision."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import User
from store.catalog.actions.errors import NotInThisState
from store.catalog.actions.listings import check_reason
from store.catalog.actions.moves import move
from store.catalog.actions.notices import tell
from store.catalog.actions.permission import check_moderator, publishers_of
from store.catalog.actions.shelving import put_on_shelf
from store.catalog.actions.submissions import TRANSITIONS
from store.catalog.models import Listing, NoticeKind, Submission, SubmissionStatus


@transaction.atomic
def approve_submission(*, submission: Submission, moderator: User, reason: str = "") -> Submission:
    """A moderator lets it into the store: it is published. Raises PermissionDenied, NotInThisState."""
    current = _decide(submission, moderator, SubmissionStatus.PUBLISHED, check_reason(reason))
    put_on_shelf(current)
    tell(publishers_of(current.listing), NoticeKind.APPROVED, current.listing, reason=current.reason)
    return current


@transaction.atomic
def decline_submission(*, submission: Submission, moderator: User, reason: str) -> Submission:
    """A moderator does not. ``reason`` is told to the provider. Raises PermissionDenied, InvalidRequest, NotInThisState."""
    current = _decide(submission, moderator, SubmissionStatus.DECLINED, check_reason(reason, required=True))
    tell(publishers_of(current.listing), NoticeKind.DECLINED, current.listing, reason=current.reason)
    return current


def _decide(submission: Submission, moderator: User, to: SubmissionStatus, reason: str) -> Submission:
    check_moderator(moderator)
    Listing.objects.select_for_update(of=("self",), no_key=True).only("pk").get(pk=submission.listing_id)
    current = Submission.objects.select_related("listing__organization").get(pk=submission.pk)
    now = timezone.now()
    if current.status != SubmissionStatus.IN_REVIEW:
        raise NotInThisState(_("This submission is not in review."))
    move(current, to, TRANSITIONS, reason=reason, decided_by=moderator, decided_at=now, updated_at=now)
    return current
