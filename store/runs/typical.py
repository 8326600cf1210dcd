"""What a call of a listing is like, on average: for what its provider earns with it."""

from __future__ import annotations

from django.db.models import Avg, Count

from store.catalog.earning import TypicalCall
from store.catalog.models import Listing
from store.runs.models import Run, RunStatus

ENOUGH = 100  # runs that make an average
RECENT = 1_000


def typical_call(listing: Listing) -> TypicalCall | None:
    """The average of the listing's last runs that succeeded; None where there were fewer than ENOUGH."""
    recent = Run.objects.newest_first().filter(listing=listing, status=RunStatus.SUCCEEDED)[:RECENT]
    means = recent.aggregate(
        runs=Count("pk"), prompt=Avg("prompt_tokens"), cached=Avg("cached_tokens"), output=Avg("output_tokens")
    )
    if means["runs"] < ENOUGH:
        return None
    return TypicalCall(
        prompt_tokens=round(means["prompt"]),
        cached_tokens=round(means["cached"]),
        output_tokens=round(means["output"]),
    )
