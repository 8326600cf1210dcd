"""Who has keys that open a listing. The keys know listings, not the other way round: this goes through their relation."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from store.accounts.models import User
from store.catalog.models import Listing


def has_holders(listing: Listing) -> bool:
    """Whether an organization other than the provider's has a key that works."""
    return listing.api_keys.live().exclude(organization=listing.organization_id).exists()


def holders_of(listing: Listing) -> QuerySet[User]:
    """The people to tell of a change: who made such a key, and the owners and admins of its organization."""
    organizations = listing.api_keys.live().exclude(organization=listing.organization_id).values("organization")
    makers = listing.api_keys.live().exclude(organization=listing.organization_id).values("created_by")
    keeping = Q(memberships__organization__in=organizations, memberships__role__in=("owner", "admin"))
    return User.objects.filter(keeping | Q(pk__in=makers), is_active=True).distinct()
