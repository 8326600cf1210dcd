"""Similar models, families, rankings, a provider's figures."""

from __future__ import annotations

import pytest

from store.accounts.models import User
from store.catalog.categories import CATEGORIES
from store.catalog.models import Listing, Release
from store.discovery.actions import Use, lock_standing, record_rating, record_use, refresh_stale
from store.discovery.rankings import Ranking, provider_figures, rankings
from store.discovery.related import DEPTH, DESCENDANTS, lineage, similar_to
from store.discovery.tiers import retier
from tests.store.discovery.conftest import ListingMaker

pytestmark = pytest.mark.django_db


def similar(listing: Listing) -> list[str]:
    refresh_stale()
    return [row.slug for row in similar_to(listing)]


def test_similar_models_share_base_tags_and_words_and_the_most_come_first(
    shelve: ListingMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = shelve("base-one", tags=["start"])
    bard = shelve("bard", title="Sonnet writer", tags=["poetry", "english"], base=base, base_relation="finetune")
    shelve("verse", title="Verse", tags=["poetry"])
    shelve("sonnets", title="Sonnet writer two", tags=["poetry", "english"])
    shelve("unlike", title="Sonnet", tags=["code"])
    shelve("sister", title="Tickets", tags=["support"], base=base, base_relation="finetune")
    private = shelve("private", title="Sonnet writer", tags=["poetry", "english"])
    Listing.objects.filter(pk=private.pk).update(is_private=True)
    assert similar(bard) == ["sonnets", "sister", "verse"]
    assert set(similar(base)) == {"bard", "sister"}
    monkeypatch.setattr("store.discovery.related.ENOUGH", 2)
    retier((2, 4))
    assert set(similar(bard)) <= {"sonnets", "sister", "verse"}
    assert similar(private) == []


def test_a_listing_without_tags_is_similar_to_those_of_its_task(shelve: ListingMaker) -> None:
    one = shelve("one", title="")
    shelve("two")
    shelve("three", task="feature-extraction", languages=["en"], architecture="BertModel", parameters=10**9)
    assert similar(one)[0] == "two"


def test_a_family_is_shown_as_far_as_one_may_see_it(shelve: ListingMaker, provider: User, stranger: User) -> None:
    root = shelve("root")
    child = shelve("child", base=root, base_relation="finetune")
    grandchild = shelve("grandchild", base=child, base_relation="quantized")
    secret = shelve("secret", base=root)
    Listing.objects.filter(pk=secret.pk).update(is_private=True)
    family = lineage(grandchild)
    assert [one.slug for one in family.ancestors] == ["child", "root"]
    assert family.descendants == []
    down = lineage(root, user=stranger)
    assert [(generation, one.slug) for generation, one in down.descendants] == [(1, "child"), (2, "grandchild")]
    assert {one.slug for _generation, one in lineage(root, user=provider).descendants} == {
        "child",
        "grandchild",
        "secret",
    }
    Listing.objects.filter(pk=child.pk).update(is_private=True)
    assert lineage(grandchild).ancestors == []
    assert lineage(root).descendants == []


def test_an_adapter_belongs_to_the_listing_whose_release_it_is_served_on(shelve: ListingMaker) -> None:
    base, adapter = shelve("base"), shelve("adapter")
    release = Release.objects.create(
        listing=adapter, number=2, digest=f"sha256:{2**200:064x}", size=1, architecture="x", parameters=1, context_length=1,
        vocab_size=1, base=base.current_release,
    )  # fmt: skip
    Listing.objects.filter(pk=adapter.pk).update(current_release=release)
    adapter.refresh_from_db()
    assert [one.slug for one in lineage(adapter).ancestors] == ["base"]
    assert [one.slug for _generation, one in lineage(base).descendants] == ["adapter"]


def test_a_family_without_end_ends(shelve: ListingMaker) -> None:
    listings = [shelve(f"model-{number}") for number in range(DEPTH + 4)]
    for one, base in zip(listings, [*listings[1:], listings[0]], strict=True):
        Listing.objects.filter(pk=one.pk).update(base=base)
    listings[0].refresh_from_db()
    family = lineage(listings[0])
    assert len(family.ancestors) == DEPTH
    assert len(family.descendants) <= DEPTH
    assert not family.has_more


def test_many_descendants_are_cut(shelve: ListingMaker) -> None:
    root = shelve("root")
    for number in range(DESCENDANTS + 1):
        shelve(f"child-{number}", base=root)
    family = lineage(root)
    assert len(family.descendants) == DESCENDANTS
    assert family.has_more


def test_rankings_name_those_who_have_a_number_in_a_category_or_in_all(shelve: ListingMaker) -> None:
    fast = shelve("fast", category="code", tokens_per_s_1=100.0, price=300)
    slow = shelve("slow", category="law", tokens_per_s_1=10.0, price=100)
    shelve("new", category="code", price=200)
    lock_standing(slow.pk)
    record_rating(listing_id=slow.pk, rating=4.0, count=2)
    record_use([Use(listing_id=fast.pk, trending=2.0, uptime=1.0, calls_30d=5)])
    refresh_stale()

    def slugs(kind: str, category: str = "") -> list[str]:
        return [row.slug for row in rankings(kind, category)]

    assert slugs(Ranking.FASTEST) == ["fast", "slow"]
    assert slugs("cheapest") == ["slow", "new", "fast"]
    assert slugs("cheapest", "code") == ["new", "fast"]
    assert slugs("newest") == ["new", "slow", "fast"]
    assert slugs("rating") == ["slow"]
    assert slugs("trending") == ["fast"]
    assert slugs("trending", "no such") == []
    with pytest.raises(ValueError, match="loudest"):
        rankings("loudest")
    assert {"code", "law"} <= set(CATEGORIES)


def test_a_providers_figures_are_of_its_public_listings(shelve: ListingMaker, provider: User, stranger: User) -> None:
    one, two = shelve("one"), shelve("two")
    for listing, rating, count in ((one, 5.0, 1), (two, 4.0, 3)):
        lock_standing(listing.pk)
        record_rating(listing_id=listing.pk, rating=rating, count=count)
    record_use([Use(listing_id=one.pk, trending=0, uptime=0.5, calls_30d=10)])
    refresh_stale()
    figures = provider_figures(provider.personal_organization)
    assert (figures.listings, figures.calls_30d, figures.rating, figures.rating_count) == (2, 10, 4.25, 4)
    assert figures.uptime == 0.5
    empty = provider_figures(stranger.personal_organization)
    assert (empty.listings, empty.rating, empty.uptime) == (0, None, None)
