"""An organization's top-ups as a page lists them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from store.accounts.models import Organization
from store.billing.models import PaperKind, Topup
from store.billing.refunding import is_in_time, unspent_nano

PER_PAGE = 50
BY_ITSELF = "automatic"


@dataclass(frozen=True, slots=True)
class TopupsPage:
    """``older``: id before which the next page begins."""

    topups: list[Topup]
    older: UUID | None


def topups_page(organization: Organization, *, status: str = "", how: str = "", before: str = "") -> TopupsPage:
    """Newest first. A ``before`` that makes no sense is left out."""
    rows = Topup.objects.filter(organization=organization).select_related("created_by")
    rows = rows.filter(status=status) if status else rows
    rows = rows.filter(is_automatic=how == BY_ITSELF) if how else rows
    with suppress(ValueError):
        rows = rows.filter(pk__lt=UUID(before)) if before else rows
    found = list(rows.order_by("-pk")[: PER_PAGE + 1])
    return TopupsPage(found[:PER_PAGE], found[PER_PAGE - 1].pk if len(found) > PER_PAGE else None)


def topup_facts(topup: Topup, *, may_buy: bool) -> dict[str, Any]:
    """What its page shows besides itself: its receipt, what went back, and what could (``unspent_nano``, 0 where nobody may ask)."""
    papers = list(topup.papers.order_by("pk").defer("content"))
    return {
        "receipt": next((paper for paper in papers if paper.kind == PaperKind.RECEIPT), None),
        "notes": [paper for paper in papers if paper.kind == PaperKind.CREDIT_NOTE],
        "orders": list(topup.refund_orders.order_by("pk")),
        "unspent_nano": unspent_nano(topup) if may_buy and is_in_time(topup) else 0,
    }
