"""A derivative costs at least what its base's royalty is a share of, and asks for no more than the cap leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from store.accounts.models import ProviderProfile, User
from store.catalog.actions import PriceSpec, publish_submission, set_price, submit_commit
from store.catalog.actions.floors import PriceTooLow, RoyaltyTooHigh
from store.catalog.actions.submissions import submit_commit as submit
from store.catalog.models import Listing, Price
from store.catalog.royalties import expected_plan
from store.ledger.shares import Owed
from tests.conftest import make_listing
from tests.store.catalog.drafts import add_text, check, make_draft, measure

pytestmark = pytest.mark.django_db

BASE = {
    "input_nano": 1_000,
    "cached_input_nano": 501,
    "output_nano": 4_000,
    "request_nano": 100,
    "training_nano": 3_000,
}
LEAST = PriceSpec(input_nano=100, cached_input_nano=51, output_nano=400, request_nano=10, training_nano=300)
CARD = "---\nlicense: mit\nbase_model: stranger/base\n---\n# Tuned\n"


@pytest.fixture
def base(stranger: User) -> Listing:
    """``stranger/base``: a royalty of 10 %."""
    ProviderProfile.objects.create(organization=stranger.personal_organization)
    listing = make_listing(stranger.personal_organization, "base")
    Price.objects.create(listing=listing, derivatives_allowed=True, royalty_ppm=100_000, **BASE)
    return listing


@pytest.fixture
def tuned(base: Listing, provider: User) -> Listing:
    """``provider/tuned``, checked and measured, of the base by its card."""
    return measure(check(submit_commit(listing=make_draft(provider, "tuned", card=CARD), user=provider))).listing


def test_the_least_price_is_the_royalty_of_each_class(tuned: Listing, provider: User) -> None:
    assert set_price(listing=tuned, user=provider, price=LEAST).pk


@pytest.mark.parametrize("name", ["input", "cached_input", "output", "request", "training"])
def test_one_unit_less_in_any_class_is_refused_by_name(tuned: Listing, provider: User, name: str) -> None:
    cheap = replace(LEAST, **{f"{name}_nano": getattr(LEAST, f"{name}_nano") - 1})
    if name == "input":
        cheap = replace(cheap, cached_input_nano=99)
    with pytest.raises(PriceTooLow, match="10 % of what stranger/base costs") as caught:
        set_price(listing=tuned, user=provider, price=cheap)
    assert caught.value.param == name


def test_a_base_that_got_cheaper_lowers_the_floor_and_one_that_got_dearer_does_not_raise_it(
    base: Listing, tuned: Listing, provider: User
) -> None:
    Price.objects.create(
        listing=base, derivatives_allowed=True, royalty_ppm=100_000, **{name: 10 * nano for name, nano in BASE.items()}
    )
    assert set_price(listing=tuned, user=provider, price=LEAST).pk
    Price.objects.create(
        listing=base, derivatives_allowed=True, royalty_ppm=100_000, **{name: nano // 10 for name, nano in BASE.items()}
    )
    assert set_price(listing=tuned, user=provider, price=PriceSpec(input_nano=10, cached_input_nano=5, output_nano=40, request_nano=1, training_nano=30)).pk  # fmt: skip


def test_more_free_calls_than_the_base_gives_are_refused(tuned: Listing, provider: User) -> None:
    with pytest.raises(PriceTooLow) as caught:
        set_price(listing=tuned, user=provider, price=replace(LEAST, free_nano=1))
    assert caught.value.param == "free"


def test_a_private_derivative_is_no_way_around_the_price_of_its_base(tuned: Listing, provider: User) -> None:
    Listing.objects.filter(pk=tuned.pk).update(is_private=True)
    with pytest.raises(PriceTooLow):
        set_price(listing=tuned, user=provider, price=LEAST)
    assert set_price(listing=tuned, user=provider, price=PriceSpec(**BASE)).pk


def test_a_price_that_was_set_before_the_base_was_known_is_refused_at_publication(
    base: Listing, provider: User
) -> None:
    listing = make_draft(provider, "early")
    set_price(listing=listing, user=provider, price=PriceSpec(input_nano=0, output_nano=0))
    add_text(listing, provider, README__md=CARD)
    submission = measure(check(submit(listing=listing, user=provider)))
    with pytest.raises(PriceTooLow):
        publish_submission(submission=submission, user=provider)


def test_a_card_alone_does_not_go_live_below_the_floor(base: Listing, provider: User) -> None:
    listing = make_draft(provider, "plain")
    submission = measure(check(submit(listing=listing, user=provider)))
    set_price(listing=listing, user=provider, price=PriceSpec(input_nano=0, output_nano=0))
    publish_submission(submission=submission, user=provider)
    add_text(listing, provider, README__md=CARD)
    assert check(submit(listing=listing, user=provider, goes_live=True)).status == "ready"


def test_ones_own_base_sets_no_floor(tuned: Listing, provider: User, base: Listing) -> None:
    Listing.objects.filter(pk=base.pk).update(organization=provider.personal_organization)
    assert set_price(listing=tuned, user=provider, price=PriceSpec(input_nano=0, output_nano=0)).pk


def test_a_royalty_leaves_room_for_those_further_up(tuned: Listing, provider: User) -> None:
    # Half of what the commission of 15 % leaves is 42.5 %, of which the base has 10.
    most = replace(LEAST, derivatives_allowed=True, royalty_ppm=325_000)
    assert set_price(listing=tuned, user=provider, price=most).pk
    with pytest.raises(RoyaltyTooHigh, match=r"32\.5 % at most") as caught:
        set_price(listing=tuned, user=provider, price=replace(most, royalty_ppm=325_001))
    assert caught.value.param == "royalty"


def test_what_will_be_owed_is_known_before_the_first_release(base: Listing, tuned: Listing, provider: User) -> None:
    draft = make_draft(provider, "draft", card=CARD)
    draft.refresh_from_db()
    owed = (Owed(base.organization_id, 100_000),)
    assert [expected_plan(one, commission_ppm=150_000).royalties for one in (draft, tuned)] == [owed, owed]
