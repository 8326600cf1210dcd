"""What the frame of every page shows: the organization one acts for, its balance, the colours one chose."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from store.accounts.actions import ensure_personal_organization
from store.accounts.models import Organization, Role, User
from store.ledger.models import Wallet, WalletKind

ORGANIZATION_KEY = "organization"  # in the session: the id of the organization that was chosen last
THEMES = ("light", "dark")


def current_organization(request: HttpRequest) -> Organization:
    """The organization that the signed-in user acts for: the one they chose while they are its member, else their own."""
    user = cast(User, request.user)
    mine = Organization.objects.visible_to(user).select_related("provider")
    chosen = request.session.get(ORGANIZATION_KEY)
    found = mine.filter(pk=chosen).first() if chosen else None
    return found or mine.filter(personal_of=user).first() or ensure_personal_organization(user)


def role_in(organization: Organization, user: User) -> Role:
    """What the user may do there. Raises Membership.DoesNotExist for strangers."""
    return Role(organization.memberships.get(user=user).role)


def credit_of(organization: Organization) -> Wallet:
    """The credit wallet; an unsaved empty one where there is none yet, for looking makes no rows."""
    found = Wallet.objects.filter(organization=organization, kind=WalletKind.CREDIT).first()
    return found or Wallet(organization=organization, kind=WalletKind.CREDIT)


def shop(request: HttpRequest) -> dict[str, Any]:
    """Lazy, so that a page without the header (the admin, an error) asks the database nothing."""
    theme = request.COOKIES.get("theme")
    shown: dict[str, Any] = {
        "theme": theme if theme in THEMES else "system",
        "test_money": not settings.STRIPE_LIVE,
        "sandbox": settings.SANDBOX,
    }
    if hasattr(request, "user") and request.user.is_authenticated:
        shown["organization"] = SimpleLazyObject(lambda: current_organization(request))
        shown["organizations"] = SimpleLazyObject(
            lambda: list(Organization.objects.visible_to(request.user).order_by("slug"))
        )
        shown["credit"] = SimpleLazyObject(lambda: credit_of(current_organization(request)))
    return shown
