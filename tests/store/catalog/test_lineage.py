"""What a derivative owes is frozen when it is made, and flows along its whole lineage."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.conf import settings as store_settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from store.accounts.models import ProviderProfile, User
from store.catalog.actions import PriceSpec, publish_submission, set_price, submit_commit
from store.catalog.actions.lineage import freeze_terms
from store.catalog.models import Listing, Price, Release, RoyaltyTerm
from store.catalog.royalties import Ancestor, lineages, plan_for, plan_of
from store.ledger.shares import Owed, Plan
from tests.conftest import make_listing, make_user
from tests.store.catalog.drafts import add_text, check, make_draft, measure

pytestmark = pytest.mark.django_db

COMMISSION, CAP = store_settings.COMMISSION_PPM, store_settings.ROYALTY_CAP_PPM


@pytest.fixture
def base(stranger: User) -> Listing:
    """``stranger/base``: 10 % of what calls of its fine-tunes cost."""
    ProviderProfile.objects.create(organization=stranger.personal_organization)
    listing = make_listing(stranger.personal_organization, "base")
    set_royalty(listing, 100_000)
    return listing


def set_royalty(listing: Listing, ppm: int, *, is_allowed: bool = True) -> Price:
    return Price.objects.create(
        listing=listing, input_nano=100, cached_input_nano=100, output_nano=100, derivatives_allowed=is_allowed, royalty_ppm=ppm
    )  # fmt: skip


def current(listing: Listing) -> Release:
    release = Listing.objects.get(pk=listing.pk).current_release
    assert release is not None
    return release


def declare(user: User, base: str, slug: str = "tuned", *, body: str = "# Tuned") -> Release:
    """A release of full weights whose card names its base, on the shelf."""
    card = f"---\nlicense: mit\n{f'base_model: {base}' if base else 'tags: [x]'}\n---\n{body}\n"
    found = Listing.objects.named(f"{user.personal_organization.slug}/{slug}").first()
    listing = found or make_draft(user, slug)
    add_text(listing, user, README__md=card, config__json=json.dumps({"n": slug}))
    submission = check(submit_commit(listing=listing, user=user))
    if not listing.prices.exists():
        submission = measure(submission)
        set_price(listing=listing, user=user, price=PriceSpec(input_nano=100, output_nano=100))
    publish_submission(submission=submission, user=user)
    return current(listing)


def test_a_release_of_a_declared_base_freezes_its_terms(provider: User, base: Listing) -> None:
    terms = declare(provider, "stranger/base").terms
    assert terms is not None
    assert (terms.base, terms.royalty_ppm, terms.derivatives_allowed) == (base, 100_000, True)
    assert terms.price == base.prices.current().first()
    assert Listing.objects.get(slug="tuned").base == base


def test_a_model_of_no_base_owes_nothing(provider: User) -> None:
    release = declare(provider, "")
    assert release.terms is None
    plan = plan_for(listing=release.listing, payer=provider.personal_organization, commission_ppm=COMMISSION)
    assert plan == Plan(commission_ppm=COMMISSION, rest_id=provider.personal_organization.id)


def test_later_worse_terms_bind_later_derivatives_only(provider: User, base: Listing) -> None:
    declare(provider, "stranger/base")
    set_royalty(base, 300_000)
    again, another = declare(provider, "stranger/base", body="# New"), declare(provider, "stranger/base", "late")
    assert again.terms is not None
    assert another.terms is not None
    assert (again.number, again.terms.royalty_ppm, another.terms.royalty_ppm) == (2, 100_000, 300_000)
    assert RoyaltyTerm.objects.count() == 2


@pytest.mark.parametrize(("ppm", "is_allowed", "owed"), [(50_000, True, 50_000), (0, True, 0), (0, False, 100_000)])
def test_better_terms_are_had_by_the_next_release(
    provider: User, base: Listing, ppm: int, is_allowed: bool, owed: int
) -> None:
    before = declare(provider, "stranger/base")
    set_royalty(base, ppm, is_allowed=is_allowed)
    after = declare(provider, "stranger/base", body="# New")
    assert before.terms is not None
    assert after.terms is not None
    assert (before.terms.royalty_ppm, after.terms.royalty_ppm) == (100_000, owed)


def test_a_scheduled_price_is_not_in_force_yet(provider: User, base: Listing) -> None:
    Price.objects.create(
        listing=base, input_nano=1, cached_input_nano=1, output_nano=1, derivatives_allowed=True, royalty_ppm=900_000,
        starts_at=timezone.now() + timedelta(days=1),
    )  # fmt: skip
    terms = declare(provider, "stranger/base").terms
    assert terms is not None
    assert terms.royalty_ppm == 100_000


def test_what_the_store_trained_owes_its_base_whatever_the_card_says(provider: User, base: Listing) -> None:
    listing = make_draft(provider, "tuned")
    price = base.prices.current().first()
    set_royalty(base, 900_000)
    trained = freeze_terms(derivative=listing, base=current(base), price=price, is_trained=True)
    assert declare(provider, "").terms == trained
    assert trained is not None
    assert trained.royalty_ppm == 100_000


def test_a_lineage_is_that_of_the_day_it_was_made(provider: User, consumer: User, base: Listing) -> None:
    """The base's base is changed afterwards, into a circle even: what was made before goes on as it was."""
    ProviderProfile.objects.create(organization=consumer.personal_organization)
    middle = declare(provider, "stranger/base", "middle")
    set_royalty(middle.listing, 50_000)
    leaf = declare(consumer, "provider/middle", "leaf")
    declare(provider, "consumer/leaf", "middle", body="# Round")
    roots = [base.organization_id, provider.personal_organization.id]
    assert leaf.terms is not None
    found = lineages([leaf.terms.pk])[leaf.terms.pk]
    assert found == [Ancestor(roots[1], 50_000), Ancestor(roots[0], 100_000)]
    terms = current(middle.listing).terms
    assert terms is not None
    round_trip = lineages([terms.pk])[terms.pk]
    assert [one.organization_id for one in round_trip] == [leaf.listing.organization_id, roots[1], roots[0]]
    plan = plan_for(
        listing=middle.listing, payer=make_user("buyer").personal_organization, release=current(middle.listing),
        commission_ppm=COMMISSION,
    )  # fmt: skip
    assert plan.royalties == (Owed(base.organization_id, 100_000),)


def test_an_adapter_of_its_own_listing_owes_what_its_weights_owe(provider: User, base: Listing) -> None:
    weights = declare(provider, "stranger/base")
    assert freeze_terms(derivative=weights.listing, base=weights) == weights.terms


def test_an_organization_is_named_once_and_owes_nothing_to_itself() -> None:
    lineage = [Ancestor(2, 10), Ancestor(1, 99), Ancestor(3, 0), Ancestor(2, 5), Ancestor(4, 1)]
    plan = plan_of(lineage, seller_id=1, payer_id=9, commission_ppm=COMMISSION)
    assert plan.royalties == (Owed(2, 15), Owed(4, 1))
    assert (plan.rest_id, plan.rest_is_royalty, plan.cap_ppm) == (1, False, CAP)


@pytest.mark.parametrize(
    ("lineage", "rest", "royalties"),
    [
        ([Ancestor(2, 10), Ancestor(3, 5)], 2, (Owed(3, 5),)),
        ([Ancestor(1, 10), Ancestor(2, 0), Ancestor(3, 5)], 2, (Owed(3, 5),)),
        ([Ancestor(1, 10)], 1, ()),
        ([], 1, ()),
    ],
)
def test_nobody_earns_from_their_own_calls_of_a_derivative(
    lineage: list[Ancestor], rest: int, royalties: tuple[Owed, ...]
) -> None:
    plan = plan_of(lineage, seller_id=1, payer_id=1, commission_ppm=COMMISSION)
    assert (plan.rest_id, plan.royalties, plan.rest_is_royalty) == (rest, royalties, rest != 1)


def test_a_lineage_has_an_end(base: Listing) -> None:
    """A hundred models, each made from the one before: the nearest 64 are looked at."""
    release = current(base)
    for number in range(100):
        listing = make_listing(make_user(f"maker{number}").personal_organization, "next")
        set_royalty(release.listing, 100_000)
        terms = freeze_terms(derivative=listing, base=release)
        release = current(listing)
        release.terms = terms  # in memory: what is written never changes
    assert release.terms is not None
    assert len(lineages([release.terms.pk])[release.terms.pk]) == 64


@pytest.mark.parametrize(
    "change", ["UPDATE catalog_royaltyterm SET royalty_ppm = 1", "DELETE FROM catalog_royaltyterm"]
)
def test_the_terms_never_change(provider: User, base: Listing, change: str) -> None:
    declare(provider, "stranger/base")
    with pytest.raises(DatabaseError, match="refused"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
