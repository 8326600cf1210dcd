"""Endpoints are added, changed, switched off and on, given a new secret, deleted. A secret is returned once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import Membership, Organization, Role, User
from store.errors import InvalidRequest, NotFound, PermissionDenied
from store.outbox import send_after_commit
from store.webhooks import event_types as types
from store.webhooks.addresses import BadAddress, parse
from store.webhooks.errors import TooManyEndpoints
from store.webhooks.models import MAX_DESCRIPTION, DisabledReason, WebhookEndpoint
from store.webhooks.sealing import new_secret, seal

WEBHOOK_KEEPERS = (Role.OWNER, Role.ADMIN, Role.DEVELOPER)
MAX_ENDPOINTS = 10  # of an organization
OLD_SECRET_HOURS = 24
DELIVER_TASK = "webhooks.deliver"


@dataclass(frozen=True, slots=True)
class IssuedEndpoint:
    """An endpoint and its secret, which is not shown again."""

    endpoint: WebhookEndpoint
    secret: str = field(repr=False)


@transaction.atomic
def create_endpoint(
    *, organization: Organization, user: User, url: str, event_types: Collection[str] = (), description: str = ""
) -> IssuedEndpoint:
    """Adds an endpoint. ``event_types``: the names of those it gets; none: all, also those to come.

    Raises NotFound, PermissionDenied, InvalidRequest naming the field, and TooManyEndpoints.
    """
    _require_keeper(organization.pk, user)
    secret = new_secret()
    endpoint = WebhookEndpoint(organization=organization, created_by=user, sealed_secret=seal(secret))
    _set_fields(endpoint, url, event_types, description)
    Organization.objects.select_for_update(no_key=True).only("pk").get(
        pk=organization.pk
    )  # two at once count each other
    if organization.webhook_endpoints.count() >= MAX_ENDPOINTS:
        raise TooManyEndpoints
    endpoint.save(force_insert=True)
    return IssuedEndpoint(endpoint, secret)


@transaction.atomic
def update_endpoint(
    *, endpoint: WebhookEndpoint, user: User, url: str, event_types: Collection[str] = (), description: str = ""
) -> WebhookEndpoint:
    """Sets all that a person says of an endpoint. Raises as ``create_endpoint`` does."""
    endpoint = _locked(endpoint, user)
    _set_fields(endpoint, url, event_types, description)
    endpoint.save(update_fields=["url", "event_types", "description"])
    return endpoint


@transaction.atomic
def rotate_secret(*, endpoint: WebhookEndpoint, user: User) -> IssuedEndpoint:
    """A new secret. For OLD_SECRET_HOURS each delivery has the signatures of both. Raises NotFound, PermissionDenied."""
    endpoint = _locked(endpoint, user)
    secret = new_secret()
    endpoint.old_sealed_secret, endpoint.sealed_secret = endpoint.sealed_secret, seal(secret)
    endpoint.old_until = timezone.now() + timedelta(hours=OLD_SECRET_HOURS)
    endpoint.save(update_fields=["sealed_secret", "old_sealed_secret", "old_until"])
    return IssuedEndpoint(endpoint, secret)


@transaction.atomic
def disable_endpoint(*, endpoint: WebhookEndpoint, user: User) -> None:
    """Nothing more is sent to it; what waits, waits, and what happens meanwhile does not come. Raises NotFound, PermissionDenied."""
    _require_keeper(endpoint.organization_id, user)
    WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at=None).update(
        disabled_at=Now(), disabled_reason=DisabledReason.BY_HAND
    )


@transaction.atomic
def enable_endpoint(*, endpoint: WebhookEndpoint, user: User) -> None:
    """What waited is sent. Doing it twice changes nothing. Raises NotFound, PermissionDenied."""
    _require_keeper(endpoint.organization_id, user)
    WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at__isnull=False).update(
        disabled_at=None, disabled_reason="", enabled_at=Now(), free_at=Now(), rest_s=0
    )
    send_after_commit(DELIVER_TASK)


@transaction.atomic
def delete_endpoint(*, endpoint: WebhookEndpoint, user: User) -> None:
    """The endpoint goes, with all that waits for it and its log. Raises NotFound, PermissionDenied."""
    _require_keeper(endpoint.organization_id, user)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).delete()


def require_keeper(endpoint: WebhookEndpoint, user: User) -> None:
    """Raises NotFound for strangers, and PermissionDenied where the role is not enough."""
    _require_keeper(endpoint.organization_id, user)


def _require_keeper(organization_id: int, user: User) -> None:
    role = Membership.objects.filter(organization_id=organization_id, user=user).values_list("role", flat=True).first()
    if role is None:
        raise NotFound(_("There is no such webhook."))
    if role not in WEBHOOK_KEEPERS:
        raise PermissionDenied(_("Your role in this organization may not manage webhooks."))


def _locked(endpoint: WebhookEndpoint, user: User) -> WebhookEndpoint:
    _require_keeper(endpoint.organization_id, user)
    row = WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk=endpoint.pk).first()
    if row is None:
        raise NotFound(_("There is no such webhook."))
    return row


def _set_fields(endpoint: WebhookEndpoint, url: str, event_types: Collection[str], description: str) -> None:
    try:
        parse(url.strip(), allow_private=settings.WEBHOOKS_ALLOW_PRIVATE)
    except BadAddress as error:
        raise InvalidRequest(str(error), param="url") from error
    if len(description.strip()) > MAX_DESCRIPTION:
        raise InvalidRequest(_("A description has at most %d characters.") % MAX_DESCRIPTION, param="description")
    known = [each.name for each in types.choosable()]
    if unknown := set(event_types) - set(known):
        raise InvalidRequest(_("There is no event type %(name)r.") % {"name": min(unknown)}, param="event_types")
    endpoint.url, endpoint.description = url.strip(), description.strip()
    endpoint.event_types = [name for name in known if name in event_types]
