"""Listings that were made from others, without their files."""

from __future__ import annotations

from store.accounts.models import User
from store.catalog.actions.lineage import freeze_terms
from store.catalog.models import Listing, Price, Release
from tests.conftest import make_listing


def set_royalty(listing: Listing, ppm: int) -> Price:
    """What fine-tunes of the listing owe from now on; its price is that of ``make_listing``."""
    return Price.objects.create(
        listing=listing, input_nano=100_000_000, cached_input_nano=50_000_000, output_nano=400_000_000,
        derivatives_allowed=True, royalty_ppm=ppm,
    )  # fmt: skip


def made_from(base: Listing, owner: User, slug: str) -> Listing:
    """A listing of ``owner``'s whose second release was made from the base, by its terms of now."""
    listing = make_listing(owner.personal_organization, slug)
    assert base.current_release is not None
    terms = freeze_terms(derivative=listing, base=base.current_release)
    release = Release.objects.create(
        listing=listing, number=2, digest=f"sha256:{listing.id + 2**40:064x}", terms=terms, architecture="GPT2LMHeadModel", size=1,
        parameters=1, context_length=512, vocab_size=256,
    )  # fmt: skip
    Listing.objects.filter(pk=listing.pk).update(current_release=release, base=base)
    listing.refresh_from_db()
    return listing
