"""The way of a commit to be the listing's current release: checked, measured, published."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from inference.manifest import Problem
from inference.wire import MeasurementReport
from store.accounts.models import User
from store.catalog import leases
from store.catalog.actions import measuring
from store.catalog.actions.errors import NotInThisState
from store.catalog.actions.floors import check_floor
from store.catalog.actions.moves import Transitions, move
from store.catalog.actions.notices import tell
from store.catalog.actions.permission import locked, publishers_of
from store.catalog.actions.releases import differs_in_card_only, find_base, make_release
from store.catalog.actions.shelving import put_on_shelf, wants_review
from store.catalog.inspection import Inspection, inspect_commit
from store.catalog.models import (
    CALLABLE,
    OPEN_SUBMISSION,
    Commit,
    Listing,
    ListingStatus,
    Measurement,
    MeasurementStatus,
    NoticeKind,
    Ref,
    Release,
    Submission,
    SubmissionStatus,
)
from store.errors import InvalidRequest, NotFound
from store.outbox import send_after_commit

MAX_ATTEMPTS = 3  # of a check: then something in these files kills the worker
SHOWN_PROBLEMS = 5  # in a mail

S = SubmissionStatus
TRANSITIONS: Transitions = {
    S.CHECKING: (S.REJECTED, S.MEASURING, S.READY, S.CANCELLED),
    S.MEASURING: (S.UNFIT, S.READY, S.CANCELLED),
    S.READY: (S.IN_REVIEW, S.PUBLISHED, S.CANCELLED),
    S.IN_REVIEW: (S.PUBLISHED, S.DECLINED, S.CANCELLED),
}

logger = logging.getLogger(__name__)


class PriceMissing(InvalidRequest):
    """Nothing is published without a price."""

    code: ClassVar[str] = "price_missing"


def _move(submission: Submission, to: SubmissionStatus, **fields: Any) -> None:
    move(submission, to, TRANSITIONS, updated_at=timezone.now(), **fields)


@transaction.atomic
def submit_commit(
    *, listing: Listing, user: User | None, commit: Commit | None = None, goes_live: bool = False
) -> Submission:
    """Sends a commit (``main``'s, where none is given) to be checked. An older submission that is still open is cancelled.

    The same commit again, while it is on its way, is the same submission. ``goes_live``: published once it is ready, if only the
    card is new. Raises NotFound (the user may not publish here), NotAProvider, NotInThisState (suspended), InvalidRequest
    (``commit``: there is nothing to check).
    """
    row = locked(listing, user)
    if row.status == ListingStatus.SUSPENDED:
        raise NotInThisState(_("%(name)s is suspended: an appeal can be made against that.") % {"name": row.name})
    commit = commit or _head(row)
    if commit is None or not commit.files.exists():
        raise InvalidRequest(_("There are no files to check yet: upload them first."), param="commit")
    if commit.listing_id != row.pk:
        raise NotFound(_("There is no such commit."))
    for older in row.submissions.filter(status__in=OPEN_SUBMISSION):
        if older.commit_id == commit.pk:
            return older
        _move(older, S.CANCELLED)
    submission = Submission.objects.create(listing=row, commit=commit, created_by=user, goes_live=goes_live)
    send_after_commit("check.release", submission.pk)
    return submission


def _head(listing: Listing) -> Commit | None:
    ref = Ref.objects.filter(listing=listing, kind="branch", name="main").select_related("commit").first()
    return ref.commit if ref else None


def run_check(submission_id: int) -> None:
    """Checks what is due, in a child process. For the worker, and not inside a transaction: it may run twice, the newest attempt wins."""
    checking = Submission.objects.filter(pk=submission_id, status=S.CHECKING)
    if not leases.take(checking):
        return None
    submission = checking.select_related("commit").first()
    if submission is None:
        return None
    own = checking.filter(attempts=submission.attempts)
    if submission.attempts > MAX_ATTEMPTS:
        message = _(
            "The check was broken off %(count)d times. Submit it again; if it goes on, ask the people of the store."
        )
        return finish_check(submission, _broken_off(message % {"count": MAX_ATTEMPTS}))
    with leases.kept(own):
        found = inspect_commit(submission.commit)
    finish_check(submission, found)
    return None


def _broken_off(message: str) -> Inspection:
    return Inspection.refused(Problem("", "check_broken_off", message))


@transaction.atomic
def finish_check(checked: Submission, found: Inspection) -> None:
    """What the attempt that ``checked`` was read in has found. A later one, or who cancelled meanwhile, makes it nothing."""
    row = (
        Listing.objects.select_for_update(of=("self",), no_key=True)
        .select_related("organization")
        .get(pk=checked.listing_id)
    )
    submission = Submission.objects.filter(pk=checked.pk, status=S.CHECKING, attempts=checked.attempts).first()
    if submission is None:
        logger.info("submission %s: attempt %s is not heard any more", checked.pk, checked.attempts)
        return None
    base, misfits = find_base(row, found.adapter) if found.adapter and not found.problems else (None, [])
    problems = [*found.problems, *misfits, *_missing_licence(row, found)]
    if problems:
        _move(submission, S.REJECTED, problems=[asdict(problem) for problem in problems])
        words = "\n".join(f"- {problem.message}" for problem in problems[:SHOWN_PROBLEMS])
        return tell(publishers_of(row), NoticeKind.REJECTED, row, problems=words, count=str(len(problems)))
    release = make_release(listing=row, commit=submission.commit, found=found, user=submission.created_by, base=base)
    card = {name: value for name, value in asdict(found.card).items() if name != "body"}
    _measure(submission, release, card)
    return None


def _missing_licence(listing: Listing, found: Inspection) -> list[Problem]:
    if found.problems or found.card.licence or listing.licence:
        return []
    message = "README.md does not name a licence. Write `license: apache-2.0`, or another SPDX identifier, between its dashes."
    return [Problem("README.md", "no_licence", message)]


def _measure(submission: Submission, release: Release, card: dict[str, Any]) -> None:
    """On to being measured; past it where the numbers are known, of this release or of one that has another card only."""
    known = measuring.newest_of(release)
    current = submission.listing.current_release
    is_card_only = differs_in_card_only(release, current)
    measured = measuring.newest_of(current) if current and is_card_only else None
    if known is None and measured:
        known = measuring.copy_measurement(measured, release)
    if known is None:
        measurement = measuring.measure_release(release)
        return _move(submission, S.MEASURING, release=release, measurement=measurement, card=card)
    _move(submission, S.READY, release=release, measurement=known, card=card)
    return _ready(submission, is_card_only=is_card_only)


def _ready(submission: Submission, *, is_card_only: bool) -> None:
    listing = submission.listing
    if submission.goes_live and is_card_only and listing.status in CALLABLE and _is_priced(listing):
        return _publish(submission, submission.created_by)
    return tell(publishers_of(listing), NoticeKind.READY, listing)


def begin_measurement(measurement_id: int) -> Measurement | None:
    """Takes a measurement that is due in hand, to be sent to a worker; None where nothing is to be sent."""
    with transaction.atomic():
        measurement = measuring.begin_attempt(measurement_id)
        if measurement is None or measurement.status == MeasurementStatus.QUEUED:
            return measurement
        _hear_measured(measurement)
    return None


def take_measurement(*, measurement_id: int, attempt: int, message: dict[str, Any]) -> None:
    """What a worker says of a measurement: how far it is, or the numbers. Only the newest attempt is heard. Raises WireError."""
    report = MeasurementReport.from_json(message)
    with transaction.atomic():
        ended = measuring.take_report(measurement_id=measurement_id, attempt=attempt, report=report)
        if ended:
            _hear_measured(ended)


def _hear_measured(measurement: Measurement) -> None:
    waiting = Submission.objects.select_for_update(no_key=True).filter(measurement=measurement, status=S.MEASURING)
    for submission in waiting:
        if measurement.status == MeasurementStatus.DONE:
            _move(submission, S.READY)
            _ready(submission, is_card_only=False)
        else:
            problem = Problem("", "unfit", measurement.error)
            _move(submission, S.UNFIT, problems=[asdict(problem)])
            listing = submission.listing
            tell(publishers_of(listing), NoticeKind.UNFIT, listing, problems=measurement.error)


@transaction.atomic
def publish_submission(*, submission: Submission, user: User | None) -> Submission:
    """The provider's last word: published at once, or given to a moderator. Publishing again changes nothing.

    Raises NotFound, PriceMissing, PriceTooLow, NotInThisState.
    """
    row = locked(submission.listing, user)
    current = Submission.objects.get(pk=submission.pk)
    if current.status in (S.PUBLISHED, S.IN_REVIEW):
        return current
    price = row.prices.current().first()
    if price is None:
        raise PriceMissing(_("Set a price first. It may be zero."), param="price")
    check_floor(row, price)
    _publish(current, user)
    return current


def _is_priced(listing: Listing) -> bool:
    """Whether it has a price that its base's terms allow."""
    price = listing.prices.current().first()
    try:
        if price:
            check_floor(listing, price)
    except InvalidRequest:
        return False
    return price is not None


def _publish(submission: Submission, user: User | None) -> None:
    listing = submission.listing
    if settings.REVIEW == "moderator" and wants_review(submission):
        _move(submission, S.IN_REVIEW)
        return tell(publishers_of(listing), NoticeKind.IN_REVIEW, listing)
    _move(submission, S.PUBLISHED, decided_by=user, decided_at=timezone.now())
    return put_on_shelf(submission)


@transaction.atomic
def cancel_submission(*, submission: Submission, user: User) -> Submission:
    """Takes back what is not published yet. Cancelling again changes nothing. Raises NotFound, NotInThisState."""
    locked(submission.listing, user)
    current = Submission.objects.get(pk=submission.pk)
    if current.status != S.CANCELLED:
        _move(current, S.CANCELLED)
    return current


def due_checks() -> list[int]:
    """Ids of submissions whose check is due: the message was lost, or its worker died."""
    due = Submission.objects.filter(status=S.CHECKING, due_at__lte=Now()).order_by("due_at")
    return list(due.values_list("pk", flat=True)[:100])
