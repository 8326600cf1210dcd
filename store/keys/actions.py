"""Keys are issued, changed, rotated and revoked. A secret is returned once, and kept nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import Membership, Organization, Role, User
from store.catalog.models import CALLABLE, Listing
from store.errors import InvalidRequest, NotFound, PermissionDenied
from store.keys.budgets import MAX_BUDGET_NANO, set_limit
from store.keys.grants import InvalidKey
from store.keys.models import ApiKey, Budget, KeyUse, Period
from store.keys.secret import digest_of, new_secret, shown_prefix
from store.ledger import actions as ledger
from store.ledger.models import WalletKind

KEY_KEEPERS = (Role.OWNER, Role.ADMIN, Role.DEVELOPER)
MAX_RATE = 100_000_000  # requests or tokens per minute; far below where the limiter's integers end
MAX_GRACE_S = 30 * 24 * 3600
MAX_NAME = 80

BudgetSpec = tuple[Listing | None, Period, int]  # on one listing or on all, per period, nano-dollars


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key and its secret, which nobody can ask for again."""

    api_key: ApiKey
    secret: str = field(repr=False)


@transaction.atomic
def issue_key(
    *,
    organization: Organization,
    user: User,
    name: str,
    listings: Iterable[Listing],
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
    max_parallel: int | None = None,
    allowed_networks: Sequence[str] = (),
    expires_at: datetime | None = None,
    budgets: Sequence[BudgetSpec] = (),
) -> IssuedKey:
    """Makes a key that opens ``listings`` within its limits. Raises NotFound, PermissionDenied, InvalidRequest naming the field."""
    _require_keeper(organization.id, user)
    secret = new_secret()
    api_key = ApiKey(organization=organization, created_by=user, prefix=shown_prefix(secret), digest=digest_of(secret))
    _set_fields(api_key, name, requests_per_minute, tokens_per_minute, max_parallel, allowed_networks, expires_at)
    api_key.save(force_insert=True)
    opened = _openable(organization.id, listings)
    api_key.listings.set(opened)
    KeyUse.objects.create(api_key=api_key)
    _set_budgets(api_key, budgets, opened)
    return IssuedKey(api_key, secret)


@transaction.atomic
def update_key(
    *,
    api_key: ApiKey,
    user: User,
    name: str,
    listings: Iterable[Listing],
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
    max_parallel: int | None = None,
    allowed_networks: Sequence[str] = (),
    expires_at: datetime | None = None,
    budgets: Sequence[BudgetSpec] = (),
) -> ApiKey:
    """Sets everything that can be set on a live key, as if it were issued now; a budget that stays keeps what was used of it.

    Raises as :func:`issue_key` does, and InvalidKey on a key that was revoked.
    """
    api_key = _locked(api_key, user)
    _set_fields(api_key, name, requests_per_minute, tokens_per_minute, max_parallel, allowed_networks, expires_at)
    api_key.save()
    opened = _openable(api_key.organization_id, listings)
    api_key.listings.set(opened)
    _set_budgets(api_key, budgets, opened)
    return api_key


@transaction.atomic
def rotate_key(*, api_key: ApiKey, user: User, grace_s: int = 0) -> IssuedKey:
    """Gives the key a new secret; the old one works for ``grace_s`` seconds more. Limits, budgets and what was used stay as they are.

    Raises NotFound, PermissionDenied, InvalidRequest, and InvalidKey on a key that was revoked.
    """
    if not 0 <= grace_s <= MAX_GRACE_S:
        raise InvalidRequest(_("The old secret may live on for at most 30 days."), param="grace_s")
    api_key = _locked(api_key, user)
    secret = new_secret()
    api_key.old_digest = api_key.digest if grace_s else None
    api_key.old_until = timezone.now() + timedelta(seconds=grace_s) if grace_s else None
    api_key.prefix, api_key.digest = shown_prefix(secret), digest_of(secret)
    api_key.save(update_fields=["prefix", "digest", "old_digest", "old_until"])
    return IssuedKey(api_key, secret)


@transaction.atomic
def revoke_key(*, api_key: ApiKey, user: User) -> None:
    """The key is dead in every process within a second, and for ever. Doing it twice changes nothing. Raises NotFound, PermissionDenied."""
    _require_keeper(api_key.organization_id, user)
    ApiKey.objects.filter(pk=api_key.pk, revoked_at=None).update(revoked_at=timezone.now())


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """A network in CIDR notation or one address; IPv4 inside IPv6 becomes plain IPv4. Raises ValueError."""
    network = ip_network(text.strip(), strict=False)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        return IPv4Network((mapped, network.prefixlen - 96))
    return network


def _require_keeper(organization_id: int, user: User) -> None:
    role = Membership.objects.filter(organization_id=organization_id, user=user).values_list("role", flat=True).first()
    if role is None:
        raise NotFound(_("There is no such key."))
    if role not in KEY_KEEPERS:
        raise PermissionDenied(_("Your role in this organization may not manage keys."))


def _locked(api_key: ApiKey, user: User) -> ApiKey:
    """The key's row, locked behind its organization's wallet as an opening run does it, so that budgets change between runs."""
    _require_keeper(api_key.organization_id, user)
    ledger.wallet_of(api_key.organization_id, WalletKind.CREDIT)
    ledger.lock_credit([api_key.organization_id])
    row = ApiKey.objects.select_for_update(no_key=True).get(pk=api_key.pk)
    if row.revoked_at is not None:
        raise InvalidKey(_("This key was revoked."))
    return row


def _set_fields(
    api_key: ApiKey,
    name: str,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    max_parallel: int | None,
    allowed_networks: Sequence[str],
    expires_at: datetime | None,
) -> None:
    if not 0 < len(name.strip()) <= MAX_NAME:
        raise InvalidRequest(_("A key needs a name of at most 80 characters."), param="name")
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidRequest(_("The time at which the key expires is in the past."), param="expires_at")
    limits = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "max_parallel": max_parallel,
    }
    for param, limit in limits.items():
        if limit is not None and not 0 < limit <= MAX_RATE:
            raise InvalidRequest(_("A limit is from 1 to 100000000, or none."), param=param)
        setattr(api_key, param, limit)
    try:
        api_key.allowed_networks = sorted({str(parse_network(network)) for network in allowed_networks})
    except ValueError as error:
        raise InvalidRequest(_("Not a network: %(error)s") % {"error": error}, param="allowed_networks") from error
    api_key.name, api_key.expires_at = name.strip(), expires_at


def _openable(organization_id: int, listings: Iterable[Listing]) -> list[Listing]:
    """The listings, if the organization may call each. Another organization's private listing is as one that does not exist."""
    opened = list(listings)
    if not opened:
        raise InvalidRequest(_("A key opens at least one model."), param="listings")
    for listing in opened:
        if listing.organization_id != organization_id and (listing.is_private or listing.status not in CALLABLE):
            raise NotFound(_("There is no such model."), param="listings")
    return opened


def _set_budgets(api_key: ApiKey, budgets: Sequence[BudgetSpec], listings: Sequence[Listing]) -> None:
    wanted: dict[tuple[Listing | None, str], int] = {}
    for listing, period, limit_nano in budgets:
        if listing is not None and listing not in listings:
            raise InvalidRequest(_("A budget is for a model that the key opens."), param="budgets")
        if period not in Period.values or not 0 <= limit_nano <= MAX_BUDGET_NANO:
            raise InvalidRequest(_("A budget is an amount per day, per month or in all."), param="budgets")
        if (listing, period) in wanted:
            raise InvalidRequest(_("There are two budgets for the same model and period."), param="budgets")
        wanted[listing, period] = limit_nano
    for budget in api_key.budgets.select_related("listing"):
        if (budget.listing, budget.period) not in wanted:
            budget.delete()
    for (listing, name), limit_nano in wanted.items():
        budget, is_new = Budget.objects.get_or_create(
            organization_id=api_key.organization_id, api_key=api_key, listing=listing, period=name,
            defaults={"limit_nano": limit_nano},
        )  # fmt: skip
        if not is_new and budget.limit_nano != limit_nano:
            set_limit(budget, limit_nano)
