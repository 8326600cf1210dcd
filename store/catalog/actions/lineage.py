"""What a model was made from; what it owes for that is frozen when it is made."""

from __future__ import annotations

from django.db.models import Q

from store.catalog.models import CALLABLE, Listing, Price, Release, RoyaltyTerm
from store.catalog.royalties import MAX_DEPTH


def find_base_listing(listing: Listing, name: str) -> Listing | None:
    """The model of the store that a card names as its base, if the provider may know of it."""
    visible = Q(is_private=False, status__in=CALLABLE) | Q(organization=listing.organization_id)
    return Listing.objects.named(name).filter(visible).exclude(pk=listing.pk).first() if name else None


def terms_of_release(listing: Listing, *, base: Release | None, named: str) -> RoyaltyTerm | None:
    """Under which a new release of the listing is made: from ``base``, which it is an adapter of; from the model that the store trained it
    from; or from the one that its card has ``named``. None: from nothing that is here.
    """
    trained = listing.royalty_terms.filter(is_trained=True).order_by("-id").first()
    if base and not (trained and _owes_through(trained, base.listing_id)):
        return freeze_terms(derivative=listing, base=base)
    if trained:
        return trained
    declared = find_base_listing(listing, named)
    return (
        freeze_terms(derivative=listing, base=declared.current_release)
        if declared and declared.current_release
        else None
    )


def _owes_through(terms: RoyaltyTerm, base_id: int) -> bool:
    """Whether a listing is owed by these terms through another: a training that went on with an adapter owes that, which owes its base."""
    older = terms.inherited
    for _depth in range(MAX_DEPTH):
        if older is None:
            return False
        if older.base_id == base_id:
            return True
        older = older.inherited
    return False


def freeze_terms(
    *, derivative: Listing, base: Release, price: Price | None = None, is_trained: bool = False
) -> RoyaltyTerm | None:
    """The terms under which a release of ``derivative`` is made from ``base``. Inside a transaction that has the derivative's row locked.

    They are those of ``price`` (the base's price in force by default), or better ones that an earlier release of the derivative was
    made under: what the base's provider asks later binds only those who come later, what is better is had by the next release.
    ``is_trained``: the store made it from this base, so that each later release of the derivative owes the same, whatever its card says.
    """
    if base.listing_id == derivative.pk:  # an adapter of its own listing's weights owes what those owe
        return base.terms
    price = price or base.listing.prices.current().first()
    before = derivative.royalty_terms.filter(base=base.listing_id).order_by("-id").first()
    made = RoyaltyTerm(
        derivative=derivative,
        base=base.listing,
        royalty_ppm=price.royalty_ppm if price else 0,
        derivatives_allowed=price is not None and price.derivatives_allowed,
        price=price,
        inherited=base.terms,
        is_trained=is_trained or (before is not None and before.is_trained),
    )
    if before and not (made.derivatives_allowed and made.royalty_ppm < before.royalty_ppm):
        made.royalty_ppm, made.derivatives_allowed, made.price = (
            before.royalty_ppm,
            before.derivatives_allowed,
            before.price,
        )
        if (made.inherited_id, made.is_trained) == (before.inherited_id, before.is_trained):
            return before
    made.save(force_insert=True)
    return made
