"""What a listing costs: worse only with notice, better at once, and every row stays."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.utils import timezone

from store.accounts.models import User
from store.catalog.actions import NotInThisState, PriceSpec, cancel_scheduled_price, set_price
from store.catalog.actions.announcing import announce_price, due_announcements
from store.catalog.actions.notices import send_notices
from store.catalog.actions.prices import NoticeNeeded
from store.catalog.earning import TypicalCall, earning_estimate
from store.catalog.models import Listing, Notice, Price, PriceAnnouncement
from store.errors import InvalidRequest, NotFound
from store.keys.actions import IssuedKey, revoke_key
from store.ledger.shares import Owed, Plan
from store.runs.typical import typical_call
from tests.conftest import make_listing

pytestmark = pytest.mark.django_db

NOW = {"input_nano": 100_000_000, "cached_input_nano": 50_000_000, "output_nano": 400_000_000}  # as make_listing


def spec(**changes: int) -> PriceSpec:
    return PriceSpec(**{**NOW, **changes})  # type: ignore[arg-type]


def days(count: float) -> datetime:
    return timezone.now() + timedelta(days=count)


@pytest.mark.parametrize(
    ("price", "param"),
    [
        ({"input_nano": -1}, "input"),
        ({"output_nano": 10**18}, "output"),
        ({"cached_input_nano": 100_000_001}, "cached_input"),
        ({"request_nano": -5}, "request"),
        ({"training_nano": 2**63}, "training"),
        ({"free_nano": -1}, "free"),
        ({"derivatives_allowed": True, "royalty_ppm": 1_000_001}, "royalty"),
        ({"royalty_ppm": 10}, "royalty"),
    ],
)
def test_a_senseless_price_is_refused_by_name(
    listing: Listing, provider: User, price: dict[str, int], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        set_price(listing=listing, user=provider, price=spec(**price))
    assert refused.value.param == param
    assert Price.objects.count() == 1


def test_zero_is_a_price(listing: Listing, provider: User) -> None:
    price = set_price(listing=listing, user=provider, price=PriceSpec(input_nano=0, output_nano=0))
    assert listing.prices.current().first() == price


def test_a_stranger_finds_no_listing_to_price(listing: Listing, stranger: User) -> None:
    with pytest.raises(NotFound):
        set_price(listing=listing, user=stranger, price=spec())
    with pytest.raises(NotFound):
        cancel_scheduled_price(listing=listing, user=stranger, price=listing.prices.get())


def test_without_holders_any_price_starts_at_once(listing: Listing, provider: User) -> None:
    dearer = set_price(listing=listing, user=provider, price=spec(output_nano=500_000_000))
    assert listing.prices.current().first() == dearer
    assert not PriceAnnouncement.objects.exists()


@pytest.mark.parametrize("change", ["input_nano", "cached_input_nano", "output_nano", "request_nano", "training_nano"])
def test_what_is_dearer_in_any_class_needs_notice_where_others_hold_keys(
    listing: Listing, provider: User, issued_key: IssuedKey, change: str
) -> None:
    dearer = spec(**{"input_nano": 100_000_000, "output_nano": 1, change: NOW.get(change, 0) + 1})
    if change == "input_nano":
        dearer = spec(input_nano=100_000_001)
    for starts_at in (None, days(6.9)):
        with pytest.raises(NoticeNeeded):
            set_price(listing=listing, user=provider, price=dearer, starts_at=starts_at)
    scheduled = set_price(listing=listing, user=provider, price=dearer, starts_at=days(7.01))
    assert PriceAnnouncement.objects.get().price == scheduled
    assert listing.prices.current().first() != scheduled
    assert listing.prices.changes() == [scheduled]


def test_a_smaller_allowance_and_worse_terms_need_notice_too(
    listing: Listing, provider: User, issued_key: IssuedKey
) -> None:
    set_price(listing=listing, user=provider, price=spec(free_nano=1000, derivatives_allowed=True))
    for worse in (
        {"free_nano": 999, "derivatives_allowed": True},
        {"free_nano": 1000},
        {"free_nano": 1000, "derivatives_allowed": True, "royalty_ppm": 1},
    ):
        with pytest.raises(NoticeNeeded):
            set_price(listing=listing, user=provider, price=spec(**worse))


def test_what_is_better_starts_at_once(listing: Listing, provider: User, issued_key: IssuedKey) -> None:
    better = set_price(listing=listing, user=provider, price=spec(output_nano=1, free_nano=5))
    assert listing.prices.current().first() == better


def test_a_key_of_ones_own_or_a_dead_one_needs_no_notice(
    listing: Listing, provider: User, consumer: User, issued_key: IssuedKey
) -> None:
    revoke_key(api_key=issued_key.api_key, user=consumer)
    set_price(listing=listing, user=provider, price=spec(output_nano=500_000_000))
    assert listing.prices.count() == 2


def test_a_way_round_by_a_cheap_price_that_was_scheduled_needs_notice(
    listing: Listing, provider: User, issued_key: IssuedKey
) -> None:
    set_price(listing=listing, user=provider, price=spec(output_nano=1), starts_at=days(1))
    with pytest.raises(NoticeNeeded):
        set_price(listing=listing, user=provider, price=spec(), starts_at=days(2))


@pytest.mark.parametrize("when", [-1, 400])
def test_a_price_starts_neither_in_the_past_nor_in_years(listing: Listing, provider: User, when: float) -> None:
    with pytest.raises(InvalidRequest) as refused:
        set_price(listing=listing, user=provider, price=spec(), starts_at=days(when))
    assert refused.value.param == "starts_at"


def test_the_holders_are_told_once(listing: Listing, provider: User, consumer: User, issued_key: IssuedKey) -> None:
    price = set_price(listing=listing, user=provider, price=spec(output_nano=800_000_000), starts_at=days(8))
    assert due_announcements() == [price.pk]
    announce_price(price.pk)
    announce_price(price.pk)
    assert due_announcements() == []
    assert send_notices() == 1
    (message,) = mail.outbox
    assert message.to == [consumer.email]
    assert "provider/bard" in message.subject
    assert "output: $0.40 -> $0.80" in message.body
    assert "cached" not in message.body


def test_a_change_that_is_taken_back_is_told_to_those_who_were_told(
    listing: Listing, provider: User, issued_key: IssuedKey
) -> None:
    price = set_price(listing=listing, user=provider, price=spec(output_nano=800_000_000), starts_at=days(8))
    announce_price(price.pk)
    kept = cancel_scheduled_price(listing=listing, user=provider, price=price)
    assert (kept.terms, kept.starts_at) == (listing.prices.current()[0].terms, price.starts_at)
    assert cancel_scheduled_price(listing=listing, user=provider, price=price) == kept
    assert listing.prices.changes() == []
    announce_price(kept.pk)
    assert list(Notice.objects.order_by("pk").values_list("kind", flat=True)) == ["price_change", "price_kept"]


def test_a_change_that_is_taken_back_before_it_was_told_is_told_to_nobody(
    listing: Listing, provider: User, issued_key: IssuedKey
) -> None:
    price = set_price(listing=listing, user=provider, price=spec(output_nano=800_000_000), starts_at=days(8))
    kept = cancel_scheduled_price(listing=listing, user=provider, price=price)
    announce_price(price.pk)
    announce_price(kept.pk)
    assert not Notice.objects.exists()
    assert due_announcements() == []


def test_what_is_kept_is_what_was_in_force_before(listing: Listing, provider: User, issued_key: IssuedKey) -> None:
    price = set_price(listing=listing, user=provider, price=spec(output_nano=800_000_000), starts_at=days(8))
    cheaper = set_price(listing=listing, user=provider, price=spec(output_nano=1))
    assert cancel_scheduled_price(listing=listing, user=provider, price=price).terms == cheaper.terms


def test_a_price_that_has_started_is_not_taken_back(listing: Listing, provider: User) -> None:
    with pytest.raises(NotInThisState):
        cancel_scheduled_price(listing=listing, user=provider, price=listing.prices.get())


def test_another_listings_price_is_not_found(listing: Listing, provider: User) -> None:
    other = make_listing(provider.personal_organization, "other")
    price = set_price(listing=other, user=provider, price=spec(output_nano=1), starts_at=days(1))
    with pytest.raises(NotFound):
        cancel_scheduled_price(listing=listing, user=provider, price=price)


def test_a_price_cannot_be_changed_or_deleted(listing: Listing) -> None:
    for change in (lambda: Price.objects.update(input_nano=0), lambda: Price.objects.all()._raw_delete("default")):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


def test_a_provider_sees_what_a_thousand_typical_calls_earn() -> None:
    # 400 x 100 + 100 x 50 + 200 x 400 nano-dollars a call, of which the store keeps 15 percent.
    plan = Plan(commission_ppm=150_000, rest_id=1)
    assert earning_estimate(spec(), plan=plan) == 1000 * (125_000 - 18_750)
    own = TypicalCall(prompt_tokens=10, cached_tokens=0, output_tokens=10)
    free = Plan(commission_ppm=0, rest_id=1)
    assert earning_estimate(spec(request_nano=1000), plan=free, typical=own) == 1000 * (5_000 + 1_000)


def test_what_a_provider_sees_is_after_the_royalties_that_they_owe() -> None:
    plan = Plan(commission_ppm=150_000, cap_ppm=500_000, royalties=(Owed(2, 100_000), Owed(3, 50_000)), rest_id=1)
    assert earning_estimate(spec(), plan=plan) == 1000 * (125_000 - 18_750 - 12_500 - 6_250)


def test_a_listing_that_was_hardly_called_has_no_typical_call_of_its_own(listing: Listing) -> None:
    assert typical_call(listing) is None
