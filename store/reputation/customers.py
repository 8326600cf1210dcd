"""Who is a customer of a listing: an organization that paid for calls, and is not the provider in another coat."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from store.accounts.models import Membership, Organization, User
from store.catalog.models import Listing
from store.reputation.models import PaidDay
from store.runs.ids import first_id
from store.runs.models import Run

NOT_ROLLED_UP = timedelta(days=2)  # runs of this age may not be days yet, whatever happened to the clock


def paying_organization(*, listing: Listing, user: User) -> Organization | None:
    """An organization of the user's that paid for a call of the listing with money; None if there is none, or only the provider's own."""
    candidates = Organization.objects.visible_to(user).exclude(pk__in=own_organizations(listing)).order_by("pk")
    paid = PaidDay.objects.filter(listing=listing, organization__in=candidates).values("organization")
    found = candidates.filter(pk__in=paid).first()
    return found or next((one for one in candidates if _paid_lately(listing, one)), None)


def own_organizations(listing: Listing) -> QuerySet[Membership, int]:
    """Ids of the provider and of every organization that shares a member with it: their calls and words do not count."""
    members = Membership.objects.filter(organization=listing.organization_id).values("user")
    return Membership.objects.filter(user__in=members).values_list("organization_id", flat=True)


def _paid_lately(listing: Listing, organization: Organization) -> bool:
    since = first_id(timezone.now() - NOT_ROLLED_UP)
    return Run.objects.filter(organization=organization, listing=listing, charge_nano__gt=0, id__gte=since).exists()
