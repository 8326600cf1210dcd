"""What can be done to people and their organizations."""

from __future__ import annotations

from typing import ClassVar

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction

from store.accounts.models import Membership, Organization, ProviderProfile, Role, User
from store.accounts.slugs import slug_candidates
from store.errors import Conflict, PermissionDenied

ENROLLING_ROLES = (Role.OWNER, Role.ADMIN)


class EmailTaken(Conflict):
    """Somebody has an account with this address. For callers who may know: a visitor is never told."""

    code: ClassVar[str] = "email_taken"
    default_message: ClassVar[str] = "There is an account with this e-mail address."


class MayNotEnroll(PermissionDenied):
    """Only those who answer for an organization can make it a provider."""

    code: ClassVar[str] = "may_not_enroll"
    default_message: ClassVar[str] = "Only an owner or admin of the organization can enroll it as a provider."


@transaction.atomic
def sign_up(
    *,
    email: str,
    password: str,
    name: str = "",
    is_staff: bool = False,
    is_superuser: bool = False,
    is_verified: bool = False,
) -> User:
    """Makes a user with their personal organization, as the sign-up page does. Raises EmailTaken."""
    if User.objects.filter(email__iexact=email).exists():
        raise EmailTaken
    user = User.objects.create_user(email, password, name=name, is_staff=is_staff, is_superuser=is_superuser)
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=is_verified)
    ensure_personal_organization(user)
    return user


@transaction.atomic
def ensure_personal_organization(user: User) -> Organization:
    """The organization that every user has; made where it is missing, once, however many ask at the same time."""
    User.objects.select_for_update().only("pk").get(pk=user.pk)
    found = Organization.objects.filter(personal_of=user).first()
    return found or _make_organization(user)


def _make_organization(user: User) -> Organization:
    for slug in slug_candidates(user.name, user.email):
        if Organization.objects.filter(slug=slug).exists():
            continue
        try:
            with transaction.atomic():
                organization = Organization.objects.create(slug=slug, name=user.get_short_name(), personal_of=user)
        except IntegrityError:  # another sign-up took the name between the look and the insert
            continue
        Membership.objects.create(organization=organization, user=user, role=Role.OWNER)
        return organization
    raise AssertionError("slug_candidates never ends")


@transaction.atomic
def become_provider(
    *, organization: Organization, user: User | None, about: str = "", website: str = ""
) -> ProviderProfile:
    """Enrolls the organization, or updates what its profile says. ``user`` None is the store's operator. Raises MayNotEnroll."""
    if user and not organization.memberships.filter(user=user, role__in=ENROLLING_ROLES).exists():
        raise MayNotEnroll
    profile, _is_new = ProviderProfile.objects.update_or_create(
        organization=organization, defaults={"about": about, "website": website}
    )
    return profile


@transaction.atomic
def update_profile(*, user: User, name: str) -> None:
    """Changes the name by which the store calls a user, and that of their personal organization."""
    user.name = name
    user.save(update_fields=["name"])
    Organization.objects.filter(personal_of=user).update(name=user.get_short_name())
