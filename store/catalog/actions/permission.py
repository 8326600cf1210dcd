"""Who may do what to a listing. What somebody may not do is to them as if it were not there."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from store.accounts.models import Organization, Role, User
from store.catalog.actions.errors import NotAProvider
from store.catalog.models import Listing
from store.errors import NotFound, PermissionDenied

PUBLISHING_ROLES = (Role.OWNER, Role.ADMIN, Role.DEVELOPER)


def check_publisher(organization: Organization, user: User | None) -> None:
    """``user`` None is the store's operator. Raises NotFound and NotAProvider."""
    if user and not may_publish(organization, user):
        raise NotFound(_("There is no such organization."))
    if not hasattr(organization, "provider"):
        raise NotAProvider(_("%(name)s is not a provider yet.") % {"name": organization.slug})


def may_publish(organization: Organization, user: User) -> bool:
    """Whether the user's role lets them publish for the organization."""
    return organization.memberships.filter(user=user, role__in=PUBLISHING_ROLES).exists()


def check_moderator(user: User) -> None:
    """Raises PermissionDenied."""
    if not (user.is_active and (user.is_moderator or user.is_staff)):
        raise PermissionDenied(_("Only moderators may do this."))


def locked(listing: Listing, user: User | None) -> Listing:
    """The listing as it is now, locked until the transaction ends, for one of its publishers. Raises NotFound, NotAProvider."""
    row = (
        Listing.objects.select_for_update(of=("self",), no_key=True)
        .select_related("organization__provider")
        .get(pk=listing.pk)
    )
    if row.deleted_at or (user and not may_publish(row.organization, user)):
        raise NotFound(_("There is no such model."))
    check_publisher(row.organization, user)
    return row


def publishers_of(listing: Listing) -> QuerySet[User]:
    """The people who answer for a listing."""
    return User.objects.filter(
        memberships__organization=listing.organization_id, memberships__role__in=PUBLISHING_ROLES, is_active=True
    )
