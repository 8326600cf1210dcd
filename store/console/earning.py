"""What a provider earns at a price, for calls of several kinds."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization
from store.catalog.actions import PriceSpec
from store.catalog.earning import TYPICAL_CALL, TypicalCall, earning_estimate
from store.catalog.models import Listing
from store.ledger.shares import Plan
from store.runs.typical import typical_call

SHORT = TypicalCall(prompt_tokens=60, cached_tokens=0, output_tokens=40)
LONG = TypicalCall(prompt_tokens=8_000, cached_tokens=0, output_tokens=400)


@dataclass(frozen=True, slots=True)
class Earning:
    """Of store.catalog.earning.CALLS calls of one kind."""

    label: str | Promise
    call: TypicalCall
    earned_nano: int


@dataclass(frozen=True, slots=True)
class RoyaltyOwed:
    """``ppm``: parts per million of what a call costs."""

    organization: str
    ppm: int


def earnings(price: PriceSpec, listing: Listing, plan: Plan) -> list[Earning]:
    """The first is for the calls that the listing is used to, where it was called often; else for a typical chat."""
    own = typical_call(listing)
    kinds = (
        (_("A call as it was lately"), own) if own else (_("A typical chat"), TYPICAL_CALL),
        (_("A short question"), SHORT),
        (_("A long document"), LONG),
    )
    return [Earning(label, call, earning_estimate(price, plan=plan, typical=call)) for label, call in kinds]


def royalties_owed(plan: Plan) -> list[RoyaltyOwed]:
    """What the listing owes of each call, with the names of those it owes to, the nearest base first."""
    names = Organization.objects.in_bulk([owed.organization_id for owed in plan.royalties])
    return [RoyaltyOwed(names[owed.organization_id].slug, owed.ppm) for owed in plan.royalties]
