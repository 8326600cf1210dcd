"""Where a model stands, and what its publisher can do about it."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from store.catalog.models import CALLABLE, Listing, ListingStatus, Submission, SubmissionStatus
from store.console.wizard import Step, Way, way_of
from store.moderation.models import Action, Decision

DAY_S = 24 * 3600
DECIDED = (Action.SUSPEND, Action.DECLINE)


@dataclass(frozen=True, slots=True)
class Standing:
    """``decision``: what a moderator last did against the model, where it still holds."""

    way: Way
    has_news: bool  # files that are not the current release, on their way or not
    submission: Submission | None  # the newest, whatever became of it
    decision: Decision | None
    may_deprecate: bool
    may_withdraw: bool
    may_republish: bool
    days_kept: int  # how long the files of a deleted model stay


def standing_of(listing: Listing) -> Standing:
    way = way_of(listing)
    newest = listing.submissions.order_by("-id").first()
    current = listing.current_release
    return Standing(
        way=way,
        has_news=way.has_files
        and way.current != Step.DONE
        and not (way.head and current and way.head.digest == current.digest),
        submission=newest,
        decision=decision_against(listing),
        may_deprecate=listing.status in CALLABLE,
        may_withdraw=listing.status in CALLABLE,
        may_republish=listing.status in (ListingStatus.DEPRECATED, ListingStatus.WITHDRAWN) and current is not None,
        days_kept=-(-settings.UPLOAD_EXPIRES_S // DAY_S),
    )


def decision_against(listing: Listing) -> Decision | None:
    """The suspension that holds, or the refusal of the newest submission."""
    newest = listing.submissions.order_by("-id").first()
    is_declined = newest is not None and newest.status == SubmissionStatus.DECLINED
    if listing.status != ListingStatus.SUSPENDED and not is_declined:
        return None
    found = Decision.objects.of_listing(listing).filter(action__in=DECIDED).select_related("appeal")
    return found.first()
