"""What can be done to a listing by those who publish it: named, described, ended, brought back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import User
from store.catalog.actions.errors import NotInThisState
from store.catalog.actions.moves import Transitions, move
from store.catalog.actions.notices import tell
from store.catalog.actions.permission import locked
from store.catalog.holders import has_holders, holders_of
from store.catalog.models import CALLABLE, Listing, ListingStatus, NoticeKind, Weights
from store.errors import InvalidRequest

SLUG = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
MAX_REASON = 2000
MAX_QUESTIONS = 10
MAX_GATE_DAYS = 3650
MAX_SHUTDOWN_DAYS = 3 * 366

S = ListingStatus
TRANSITIONS: Transitions = {  # by its provider, by the clock, or by the operator
    S.DRAFT: (S.PUBLISHED,),
    S.PUBLISHED: (S.PUBLISHED, S.DEPRECATED, S.WITHDRAWN),  # to itself: another release
    S.DEPRECATED: (S.PUBLISHED, S.DEPRECATED, S.WITHDRAWN),  # to itself: another day
    S.WITHDRAWN: (S.PUBLISHED,),
}
SUSPENSIONS: Transitions = {  # by a moderator, and back to where it was
    S.DRAFT: (S.SUSPENDED,),
    S.PUBLISHED: (S.SUSPENDED,),
    S.DEPRECATED: (S.SUSPENDED,),
    S.WITHDRAWN: (S.SUSPENDED,),
    S.SUSPENDED: (S.DRAFT, S.PUBLISHED, S.DEPRECATED, S.WITHDRAWN),
}


class ListingChanges(TypedDict, total=False):
    """What a provider may change of a listing by hand. All else comes from its card."""

    title: str
    summary: str
    category: str
    is_private: bool
    weights: Weights
    gate_questions: list[str]
    gate_is_automatic: bool
    gate_days: int | None


def check_fields(slug: str, shown: Mapping[str, Any]) -> None:
    """Raises InvalidRequest naming the field."""
    if len(slug) > 96 or not SLUG.fullmatch(slug):
        raise InvalidRequest(
            _("A model's name has small letters, digits and single dashes or underscores between them."), param="name"
        )
    if not shown.get("licence"):
        raise InvalidRequest(
            _("Name the licence (an SPDX identifier, such as apache-2.0), or write `license:` in the card."),
            param="licence",
        )
    _clean(Listing(slug=slug, **shown))


def _clean(listing: Listing, *, only: Mapping[str, Any] | None = None) -> None:
    skipped = {"organization"}
    if only is not None:
        skipped |= {field.name for field in Listing._meta.concrete_fields} - set(only)
    try:
        listing.clean_fields(exclude=skipped)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InvalidRequest(f"{field}: {messages[0]}", param=field) from None


@transaction.atomic
def edit_listing(*, listing: Listing, user: User, **changes: Unpack[ListingChanges]) -> Listing:
    """Raises NotFound, InvalidRequest naming the field, NotInThisState (a model that others have keys for becomes private)."""
    row = locked(listing, user)
    unknown = set(changes) - ListingChanges.__annotations__.keys()
    if unknown:
        raise InvalidRequest(_("This cannot be changed here."), param=sorted(unknown)[0])
    if changes.get("is_private") and not row.is_private and has_holders(row):
        raise NotInThisState(_("Others have keys for this model: deprecate it with a date instead."))
    if changes.get("is_private") is False and row.is_private and row.status in CALLABLE and row.published_at is None:
        raise NotInThisState(_("It was made here and is called by you alone: publish it through its checks first."))
    if "gate_questions" in changes:
        changes["gate_questions"] = _questions(changes["gate_questions"])
    gate_days = changes.get("gate_days")
    if gate_days is not None and not 1 <= gate_days <= MAX_GATE_DAYS:
        raise InvalidRequest(_("A grant lasts 1 to 3650 days, or for ever."), param="gate_days")
    for name, value in changes.items():
        setattr(row, name, value.strip() if isinstance(value, str) else value)
    _clean(row, only=changes)
    row.save(update_fields=list(changes))
    return row


def _questions(asked: list[str]) -> list[str]:
    questions = [text for one in asked if (text := " ".join(one.split()))]
    if len(questions) > MAX_QUESTIONS:
        raise InvalidRequest(_("At most 10 questions."), param="gate_questions")
    return questions


def check_reason(reason: str, *, required: bool = False) -> str:
    """The reason without blanks around it. Raises InvalidRequest."""
    text = reason.strip()
    if len(text) > MAX_REASON or "\0" in text or (required and not text):
        raise InvalidRequest(_("Give a reason of at most 2000 characters."), param="reason")
    return text


@transaction.atomic
def deprecate_listing(*, listing: Listing, user: User, shutdown_at: datetime, reason: str = "") -> Listing:
    """Says that the listing ends at ``shutdown_at``: at least PRICE_NOTICE_DAYS ahead where others hold keys, who are told.

    Raises NotFound, InvalidRequest (``shutdown_at``), NotInThisState.
    """
    row, text = locked(listing, user), check_reason(reason)
    now = timezone.now()
    notice = timedelta(days=settings.PRICE_NOTICE_DAYS) if has_holders(row) else timedelta(0)
    if not now + notice <= shutdown_at <= now + timedelta(days=MAX_SHUTDOWN_DAYS):
        raise InvalidRequest(
            _("The last day is at least %(days)d days ahead, and at most three years.") % {"days": notice.days},
            param="shutdown_at",
        )
    move(
        row, S.DEPRECATED, TRANSITIONS,
        shutdown_at=shutdown_at, status_reason=text, deprecated_at=row.deprecated_at or now,
    )  # fmt: skip
    told = {"day": f"{shutdown_at:%Y-%m-%d %H:%M} UTC", "reason": text}
    tell(holders_of(row), NoticeKind.DEPRECATED, row, **told)
    return row


@transaction.atomic
def withdraw_listing(*, listing: Listing, user: User, reason: str = "") -> Listing:
    """Takes it off the shelf at once: nobody calls it any more. Where others hold keys it is deprecated first.

    Raises NotFound, NotInThisState.
    """
    row, text = locked(listing, user), check_reason(reason)
    if has_holders(row):
        raise NotInThisState(_("Others have keys for this model: deprecate it with a date instead."))
    move(row, S.WITHDRAWN, TRANSITIONS, status_reason=text, shutdown_at=None, deprecated_at=None)
    return row


@transaction.atomic
def republish_listing(*, listing: Listing, user: User) -> Listing:
    """Back on the shelf as it was. Raises NotFound, NotInThisState (never published, suspended, without a price)."""
    row = locked(listing, user)
    if row.current_release_id is None or not row.prices.current().exists():
        raise NotInThisState(_("It has no release or no price yet: submit it first."))
    if row.status == S.SUSPENDED:
        raise NotInThisState(_("It is suspended. An appeal can be made against that."))
    if row.status != S.PUBLISHED:
        move(row, S.PUBLISHED, TRANSITIONS, status_reason="", shutdown_at=None, deprecated_at=None)
    return row


def withdraw_ended() -> int:
    """Takes listings off the shelf whose last day has come. For the clock. Returns how many."""
    ended = Listing.objects.filter(status=S.DEPRECATED, shutdown_at__lte=timezone.now())
    return ended.update(status=S.WITHDRAWN)
