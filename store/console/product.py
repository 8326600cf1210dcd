"""What a listing's own page says beside its card: terms, what was measured, who may download, what came before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from store.accounts.models import Organization
from store.catalog.models import (
    AccessRequest,
    Listing,
    Measurement,
    MeasurementStatus,
    Price,
    Release,
    Weights,
)

RELEASES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Terms:
    """The price in force, and the one that was announced."""

    now: Price | None
    announced: Price | None


@dataclass(frozen=True, slots=True)
class Access:
    """Whether the visitor may download the files; of a gated listing, what they asked before."""

    is_open: bool
    asked: AccessRequest | None = None


def terms_of(listing: Listing) -> Terms:
    return Terms(listing.prices.current().first(), listing.prices.scheduled().first())


def is_member(user: Any, listing: Listing) -> bool:
    """Whether the listing belongs to an organization of the user's."""
    return Organization.objects.visible_to(user).filter(pk=listing.organization_id).exists()


def access_of(user: Any, listing: Listing) -> Access:
    if listing.weights == Weights.OPEN or is_member(user, listing):
        return Access(True)
    if listing.weights == Weights.CLOSED or not user.is_authenticated:
        return Access(False)
    asked = listing.access_requests.filter(user=user).first()
    return Access(listing.access_requests.opening(user).exists(), asked)


def measurement_of(release: Release) -> Measurement | None:
    """The newest that was finished."""
    return release.measurements.filter(status=MeasurementStatus.DONE).order_by("-id").first()


def releases_of(listing: Listing) -> list[Release]:
    """Newest first."""
    return list(listing.releases.order_by("-number")[:RELEASES_SHOWN])
