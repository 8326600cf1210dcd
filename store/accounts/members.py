"""Organizations that people share: made, joined, left, handed over.

Every change of who belongs to an organization locks its row, so that two owners who leave at the same moment see each other.
"""

from __future__ import annotations

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from store.accounts.models import Membership, Organization, Role, User
from store.accounts.slugs import RESERVED, SLUG_LENGTH
from store.errors import Conflict, InvalidRequest, NotFound, PermissionDenied

MANAGERS = (Role.OWNER, Role.ADMIN)  # who may change who belongs to an organization
MAX_OWNED = 50  # shared organizations that one person owns
MAX_NAME = 150


class NameTaken(Conflict):
    """Another organization has this name."""

    code: ClassVar[str] = "name_taken"
    default_message: ClassVar[str] = "Another organization has this name. Choose a different one."


class LastOwner(Conflict):
    """An organization keeps one owner at least: somebody answers for its money."""

    code: ClassVar[str] = "last_owner"
    default_message: ClassVar[str] = "An organization needs an owner. Make somebody else its owner first."


class MayNotManage(PermissionDenied):
    """Only owners and admins change who belongs to an organization, and only owners change owners."""

    code: ClassVar[str] = "may_not_manage"
    default_message: ClassVar[str] = "Your role in this organization may not do this. Ask one of its owners."


@transaction.atomic
def create_organization(*, user: User, slug: str, name: str = "") -> Organization:
    """Makes an organization that ``user`` owns. Raises InvalidRequest naming the field, NameTaken, Conflict (they own too many)."""
    slug, name = slug.strip().lower(), name.strip()
    if not 2 <= len(slug) <= SLUG_LENGTH or not _is_slug(slug):
        raise InvalidRequest(
            _("A name has 2 to %d letters, digits, hyphens and underscores.") % SLUG_LENGTH, param="slug"
        )
    if slug in RESERVED:
        raise InvalidRequest(_("This name is kept for the store itself."), param="slug")
    if len(name) > MAX_NAME:
        raise InvalidRequest(_("A display name has at most %d characters.") % MAX_NAME, param="name")
    User.objects.select_for_update().only("pk").get(pk=user.pk)  # two at once count each other
    if Membership.objects.filter(user=user, role=Role.OWNER, organization__personal_of=None).count() >= MAX_OWNED:
        raise Conflict(_("You own %d organizations. Hand one over before you make another.") % MAX_OWNED)
    try:
        with transaction.atomic():
            organization = Organization.objects.create(slug=slug, name=name or slug)
    except IntegrityError as error:
        raise NameTaken(param="slug") from error
    Membership.objects.create(organization=organization, user=user, role=Role.OWNER)
    return organization


def _is_slug(slug: str) -> bool:
    try:
        validate_slug(slug)
    except ValidationError:
        return False
    return slug[0].isalnum() and slug[-1].isalnum()


@transaction.atomic
def rename_organization(*, organization: Organization, user: User, name: str) -> None:
    """Changes the display name; the slug, which is part of every model's name, stays. Raises NotFound, MayNotManage, InvalidRequest."""
    managed(organization, user)
    if not 0 < len(name.strip()) <= MAX_NAME:
        raise InvalidRequest(_("A display name has 1 to %d characters.") % MAX_NAME, param="name")
    Organization.objects.filter(pk=organization.pk).update(name=name.strip())


@transaction.atomic
def change_role(*, organization: Organization, user: User, member: User, role: str) -> None:
    """Gives a member another role. Raises NotFound, MayNotManage, LastOwner; InvalidRequest on a role that there is not."""
    if role not in Role.values:
        raise InvalidRequest(_("There is no such role."), param="role")
    own = managed(organization, user)
    theirs = membership_of(organization, member)
    _check_owners(own, theirs.role, role)
    if theirs.role == Role.OWNER != role:
        _check_not_last(organization, member)
    Membership.objects.filter(pk=theirs.pk).update(role=role)


@transaction.atomic
def remove_member(*, organization: Organization, user: User, member: User) -> None:
    """Takes a member out; everybody may leave by themselves. Their keys and models stay the organization's.

    Raises NotFound, MayNotManage, LastOwner.
    """
    if member == user:
        _lock(organization)
        theirs = membership_of(organization, user)
    else:
        own = managed(organization, user)
        theirs = membership_of(organization, member)
        _check_owners(own, theirs.role)
    if theirs.role == Role.OWNER:
        _check_not_last(organization, member)
    theirs.delete()


@transaction.atomic
def transfer_ownership(*, organization: Organization, user: User, member: User) -> None:
    """Makes a member the owner in the place of ``user``, who stays as an admin. Raises NotFound, MayNotManage, Conflict."""
    own = managed(organization, user)
    if own != Role.OWNER:
        raise MayNotManage
    if organization.personal_of_id is not None:
        raise Conflict(_("A personal organization belongs to its person. Make a shared one to hand over."))
    theirs = membership_of(organization, member)
    if member == user:
        return
    Membership.objects.filter(pk=theirs.pk).update(role=Role.OWNER)
    Membership.objects.filter(organization=organization, user=user).update(role=Role.ADMIN)


def managed(organization: Organization, user: User) -> Role:
    """The role of who may change the members of an organization, whose row is locked from here on. Raises NotFound, MayNotManage."""
    _lock(organization)
    role = Role(membership_of(organization, user).role)
    if role not in MANAGERS:
        raise MayNotManage
    return role


def membership_of(organization: Organization, user: User) -> Membership:
    """Raises NotFound for a stranger."""
    found = Membership.objects.filter(organization=organization, user=user).first()
    if found is None:
        raise NotFound(_("There is no such organization, or no such member."))
    return found


def _lock(organization: Organization) -> None:
    Organization.objects.select_for_update(no_key=True).only("pk").get(pk=organization.pk)


def _check_owners(own: Role, *roles: str) -> None:
    """Owners are made, changed and removed by owners."""
    if Role.OWNER in roles and own != Role.OWNER:
        raise MayNotManage


def _check_not_last(organization: Organization, member: User) -> None:
    if organization.personal_of_id == member.pk:
        raise LastOwner(_("A personal organization belongs to its person."))
    others = Membership.objects.filter(organization=organization, role=Role.OWNER).exclude(user=member)
    if not others.exists():
        raise LastOwner
