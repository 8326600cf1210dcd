"""What a derivative costs at least, so that those whose models it was made from are not starved of what they are owed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from django.utils.translation import gettext as _

from store.catalog.commissions import commission_of
from store.catalog.models import Listing, Price, RoyaltyTerm
from store.catalog.royalties import ANOTHER, MAX_DEPTH, lineages, plan_of
from store.errors import InvalidRequest
from store.ledger.dollars import dollars
from store.ledger.pricing import PPM, TOKENS_PER_PRICE

CLASSES = ("input", "cached_input", "output", "request", "training")


class RoyaltyTooHigh(InvalidRequest):
    """With what the model owes itself, it is more than all royalties of a charge may be."""

    code: ClassVar[str] = "royalty_over_cap"


class PriceTooLow(InvalidRequest):
    """Less than the share of a base's price that its provider is owed; ``param`` is the class."""

    code: ClassVar[str] = "price_below_royalty"


def check_floor(listing: Listing, price: Price) -> None:
    """Raises PriceTooLow where a class costs less than a base's does times its royalty, and RoyaltyTooHigh.

    A base's price is that of the terms, or the one in force where that is lower. A private derivative, which only those who made it
    call, costs what its nearest base costs: it is no way around that price. What is owed counts for free calls, too: there are not
    more of them than with the base.
    """
    for depth, terms in enumerate(_owed(listing)):
        ppm = PPM if listing.is_private and depth == 0 else terms.royalty_ppm
        bases = [one for one in (terms.price, terms.base.prices.current().first()) if one]
        if not bases or not ppm:
            continue
        for name in CLASSES:
            base_nano = min(getattr(one, f"{name}_nano") for one in bases)
            if getattr(price, f"{name}_nano") * PPM < base_nano * ppm:
                raise PriceTooLow(_too_low(terms, -(-base_nano * ppm // PPM), ppm), param=name)
        if price.free_nano > max(one.free_nano for one in bases):
            raise PriceTooLow(
                _(
                    "%(base)s earns by this model, and gives less away: free calls are worth what they are there at most."
                )
                % {"base": terms.base.name},
                param="free",
            )
    if not listing.is_private:
        _check_cap(listing, price)


def check_month(listing: Listing, *, price_nano: int, tokens: int, input_tokens: int, output_tokens: int) -> None:
    """Raises PriceTooLow where a month costs less than a base's provider is owed of what its tokens cost with the base.

    ``tokens`` are of any class: they are taken for the dearer one.
    """
    for terms in _owed(listing):
        bases = [one for one in (terms.price, terms.base.prices.current().first()) if one]
        if not bases or not terms.royalty_ppm:
            continue
        of_input, of_output = (min(getattr(one, f"{name}_nano") for one in bases) for name in ("input", "output"))
        worth = tokens * max(of_input, of_output) + input_tokens * of_input + output_tokens * of_output
        least = -(-worth * terms.royalty_ppm // (TOKENS_PER_PRICE * PPM))
        if price_nano < least:
            raise PriceTooLow(_too_low(terms, least, terms.royalty_ppm), param="price")


def newest_terms(listing: Listing) -> RoyaltyTerm | None:
    """Of the newest release, on the shelf or on its way there."""
    newest = listing.releases.order_by("-number").select_related("terms").first()
    return newest.terms if newest else None


def _owed(listing: Listing) -> Iterator[RoyaltyTerm]:
    """The terms along the lineage to bases of others, the nearest first."""
    terms = newest_terms(listing)
    for _depth in range(MAX_DEPTH):
        if terms is None:
            return
        if terms.base.organization_id != listing.organization_id:
            yield terms
        terms = terms.inherited


def _too_low(terms: RoyaltyTerm, least_nano: int, ppm: int) -> str:
    return _("%(least)s at least: %(share)g %% of what %(base)s costs, which this model was made from.") % {
        "least": dollars(least_nano), "share": ppm / 10_000, "base": terms.base.name,
    }  # fmt: skip


def _check_cap(listing: Listing, price: Price) -> None:
    terms = newest_terms(listing)
    if terms is None or not price.royalty_ppm:
        return
    plan = plan_of(
        lineages([terms.pk])[terms.pk], seller_id=listing.organization_id, payer_id=ANOTHER,
        commission_ppm=commission_of(listing).ppm,
    )  # fmt: skip
    owed = sum(one.ppm for one in plan.royalties)
    room = max((PPM - plan.commission_ppm) * plan.cap_ppm // PPM - owed, 0)
    if owed and price.royalty_ppm > room:
        raise RoyaltyTooHigh(
            _("%(most)g %% at most: this model owes %(owed)g %% itself, and all royalties together have a limit.")
            % {"most": room / 10_000, "owed": owed / 10_000},
            param="royalty",
        )
