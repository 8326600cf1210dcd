"""What a listing costs: set from now on, or from a day that the holders of keys were told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import User
from store.catalog.actions.errors import NotInThisState
from store.catalog.actions.floors import check_floor
from store.catalog.actions.permission import locked
from store.catalog.holders import has_holders
from store.catalog.models import Listing, Price, PriceAnnouncement
from store.catalog.models.price import TERMS
from store.errors import InvalidRequest, NotFound
from store.outbox import send_after_commit

NANO_PER_USD = 1_000_000_000
MAX_PRICE_NANO = 1_000_000 * NANO_PER_USD  # a million dollars for a million tokens
MAX_AHEAD_DAYS = 366
PPM = 1_000_000


class NoticeNeeded(InvalidRequest):
    """The price is worse for somebody who has a key, and starts before they could have been told."""

    code: ClassVar[str] = "price_notice_needed"


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceSpec:
    """Nano-dollars per million tokens of a class, and per request. Cached input costs as input where it is None."""

    input_nano: int
    output_nano: int
    cached_input_nano: int | None = None
    request_nano: int = 0
    training_nano: int = 0
    free_nano: int = 0  # worth of calls, a customer and calendar month (UTC)
    derivatives_allowed: bool = False
    royalty_ppm: int = 0  # of what a derivative's calls cost

    @property
    def cached_nano(self) -> int:
        """What cached input costs."""
        return self.input_nano if self.cached_input_nano is None else self.cached_input_nano

    def check(self) -> None:
        """Raises InvalidRequest naming the class."""
        amounts = {
            "input": self.input_nano, "output": self.output_nano, "cached_input": self.cached_nano, "request": self.request_nano,
            "training": self.training_nano, "free": self.free_nano,
        }  # fmt: skip
        for name, nano in amounts.items():
            if not 0 <= nano <= MAX_PRICE_NANO:
                raise InvalidRequest(
                    _("A price is 0 to %(most)d USD.") % {"most": MAX_PRICE_NANO // NANO_PER_USD}, param=name
                )
        if self.cached_nano > self.input_nano:
            raise InvalidRequest(_("Cached input cannot cost more than input."), param="cached_input")
        if not 0 <= self.royalty_ppm <= PPM:
            raise InvalidRequest(_("A royalty is a share of 0 to 100 percent."), param="royalty")
        if self.royalty_ppm and not self.derivatives_allowed:
            raise InvalidRequest(_("A royalty is for fine-tunes that may be sold: allow them first."), param="royalty")

    def row(self, listing: Listing, user: User | None, **fields: datetime) -> Price:
        """An unsaved row."""
        return Price(
            **{**asdict(self), "cached_input_nano": self.cached_nano}, listing=listing, created_by=user, **fields
        )


def is_worse(new: Price, old: Price) -> bool:
    """Whether anything of ``new`` is worse for a customer, whatever else is better."""
    dearer = ("input_nano", "cached_input_nano", "output_nano", "request_nano", "training_nano", "royalty_ppm")
    return (
        any(getattr(new, name) > getattr(old, name) for name in dearer)
        or new.free_nano < old.free_nano
        or (old.derivatives_allowed and not new.derivatives_allowed)
    )


@transaction.atomic
def set_price(*, listing: Listing, user: User | None, price: PriceSpec, starts_at: datetime | None = None) -> Price:
    """From ``starts_at`` (now) on the listing costs this; runs under way keep the price of their hold. ``user`` None: the operator.

    What is worse for customers in any class starts PRICE_NOTICE_DAYS ahead at the earliest where others hold keys, who are told. The
    price in force again, from now on, makes no row. Raises NotFound, NotAProvider, InvalidRequest naming the class (of a
    derivative PriceTooLow, RoyaltyTooHigh), NoticeNeeded.
    """
    price.check()
    row, now = locked(listing, user), timezone.now()
    if starts_at is not None and not now < starts_at <= now + timedelta(days=MAX_AHEAD_DAYS):
        raise InvalidRequest(_("A price starts now, or on a day of the next year."), param="starts_at")
    new = price.row(row, user, **({"starts_at": starts_at} if starts_at else {}))
    check_floor(row, new)
    current = row.prices.current().first()
    if current and starts_at is None and new.terms == current.terms:
        return current
    ahead = {old.starts_at: old for old in row.prices.scheduled().filter(starts_at__lte=starts_at or now)}
    before = [*ahead.values(), *([current] if current else [])]  # what customers would have had until then
    needs_notice = any(is_worse(new, old) for old in before) and has_holders(row)
    if needs_notice and (starts_at or now) < now + timedelta(days=settings.PRICE_NOTICE_DAYS):
        raise NoticeNeeded(
            _("Others have keys for this model: a price that is higher in any class is announced %(days)d days ahead.")
            % {"days": settings.PRICE_NOTICE_DAYS},
            param="starts_at",
        )
    new.save(force_insert=True)
    if needs_notice:
        _announce(new)
    return new


@transaction.atomic
def cancel_scheduled_price(*, listing: Listing, user: User | None, price: Price) -> Price:
    """Takes back a price that has not started: what was in force before stays, by a row of its own. Twice is once.

    Raises NotFound, NotInThisState (it has started, or it is the first price).
    """
    row = locked(listing, user)
    if price.listing_id != row.pk:
        raise NotFound(_("There is no such price."))
    if price.starts_at <= timezone.now():
        raise NotInThisState(_("This price has started: set another one."))
    before = row.prices.filter(starts_at__lt=price.starts_at).order_by("-starts_at", "-id").first()
    if before is None:
        raise NotInThisState(_("It is the first price of the model, and needs no taking back."))
    last = row.prices.filter(starts_at=price.starts_at).latest("id")
    if last.terms == before.terms:
        return last
    terms = {name: getattr(before, name) for name in TERMS}
    kept = Price.objects.create(listing=row, created_by=user, starts_at=price.starts_at, **terms)
    if row.prices.filter(starts_at=price.starts_at, announcement__isnull=False).exists():
        _announce(kept)
    return kept


def _announce(price: Price) -> None:
    PriceAnnouncement.objects.create(price=price)
    send_after_commit("price.announce", price.pk)
