"""An organization's granted credit as its pages show it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from store.accounts.models import Organization
from store.billing.grants import open_grants
from store.billing.models import Grant, PromoCode, Redemption

PER_PAGE = 50
OPEN, ENDED = "open", "ended"


@dataclass(frozen=True, slots=True)
class GrantsPage:
    """``older``: id before which the next page begins."""

    grants: list[Grant]
    older: UUID | None
    left_nano: int  # of all that are open


def grants_page(organization: Organization, *, state: str = "", before: str = "") -> GrantsPage:
    """Newest first, with what is left of each now. A ``state`` or ``before`` that makes no sense is left out."""
    current = {grant.pk: grant for grant in open_grants(organization)}
    rows = Grant.objects.filter(organization=organization)
    if state == OPEN:
        rows = rows.filter(pk__in=current)
    elif state == ENDED:
        rows = rows.exclude(pk__in=current)
    with suppress(ValueError):
        rows = rows.filter(pk__lt=UUID(before)) if before else rows
    found = list(rows.order_by("-pk")[: PER_PAGE + 1])
    shown = [current.get(grant.pk, grant) for grant in found[:PER_PAGE]]
    older = shown[-1].pk if len(found) > PER_PAGE else None
    return GrantsPage(shown, older, sum(grant.left_nano for grant in current.values()))


def waiting_code(organization: Organization) -> PromoCode | None:
    """The code that waits for the next top-up."""
    waiting = Redemption.objects.filter(organization=organization, grant=None).select_related("code").first()
    return waiting.code if waiting else None
