"""An organization's papers as a page lists them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from store.accounts.models import Organization
from store.billing.models import Paper

PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class PapersPage:
    """``older``: id before which the next page begins."""

    papers: list[Paper]
    older: UUID | None


def papers_page(organization: Organization, *, kind: str = "", year: int = 0, before: str = "") -> PapersPage:
    """Newest first. A ``before`` that makes no sense is left out."""
    rows = Paper.objects.filter(organization=organization)
    rows = rows.filter(kind=kind) if kind else rows
    rows = rows.filter(issued_at__year=year) if year else rows
    with suppress(ValueError):
        rows = rows.filter(pk__lt=UUID(before)) if before else rows
    found = list(rows.order_by("-pk").defer("content")[: PER_PAGE + 1])
    return PapersPage(found[:PER_PAGE], found[PER_PAGE - 1].pk if len(found) > PER_PAGE else None)
