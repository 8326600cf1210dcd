"""An organization's keys as its page shows them."""

from __future__ import annotations

from django.db.models import Case, Q, Value, When
from django.db.models.functions import Now

from store.accounts.models import Organization
from store.keys.models import ApiKey, ApiKeyQuerySet


def keys_of(organization: Organization) -> ApiKeyQuerySet:
    """With ``is_dead`` (it opens nothing any more) and ``is_expired``, the living first."""
    expired = Q(expires_at__isnull=False, expires_at__lte=Now())
    keys = ApiKey.objects.filter(organization=organization).annotate(
        is_expired=Case(When(expired, then=Value(True)), default=Value(False)),
        is_dead=Case(When(expired | Q(revoked_at__isnull=False), then=Value(True)), default=Value(False)),
    )
    return keys.order_by("is_dead", "-pk")
