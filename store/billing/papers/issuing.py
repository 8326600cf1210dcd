"""Issues papers: each once, with the next number of its series, in the transaction of what it is about.

Numbers are taken last of all locks: who waits for one holds every wallet already that this transaction moves money of.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from store.accounts.models import Organization
from store.billing.details import buyer_of
from store.billing.letters import write, write_to_buyers
from store.billing.models import BillingDetails, Dispute, DisputeStatus, Paper, PaperKind, Refund, Topup, TopupMode
from store.ledger.dollars import dollars
from store.ledger.sql import execute

LETTERS = {PaperKind.RECEIPT: "R", PaperKind.CREDIT_NOTE: "C", PaperKind.STATEMENT: "S"}


def issue_papers(topup: Topup) -> None:
    """A receipt for a top-up that is paid, and a credit note for all that went back of it, where there is none yet.

    In the transaction that has moved the money, after it has.
    """
    if not topup.payment_intent or _exists(PaperKind.RECEIPT, f"topup:{topup.pk}"):
        receipt = Paper.objects.filter(kind=PaperKind.RECEIPT, about=f"topup:{topup.pk}").first()
    else:
        receipt = _receipt(topup)
    if receipt is None:
        return
    for refund in topup.refunds.order_by("created_at", "pk"):
        _credit_note(receipt, topup, f"refund:{refund.pk}", refund, text=_("Refund"))
        if refund.failed_at:
            _credit_note(receipt, topup, f"refund:{refund.pk}:failed", refund, text=_("The refund failed"), sign=1)
    for dispute in topup.disputes.filter(status=DisputeStatus.LOST).order_by("created_at", "pk"):
        _credit_note(receipt, topup, f"dispute:{dispute.pk}", dispute, text=_("Taken back by the bank"))


def _receipt(topup: Topup) -> Paper:
    lines = [{"text": _("Credit for calls to models"), "amount_nano": topup.amount_nano}]
    known = buyer_of(topup.organization)
    buyer = {**known, **{name: value for name, value in (topup.buyer or {}).items() if name != "name" or value}}
    content = {
        "buyer": buyer, "lines": lines, "net_nano": topup.amount_nano, "tax_nano": topup.tax_nano,
        "reference": topup.payment_intent,
    }  # fmt: skip
    return issue(
        topup.organization, PaperKind.RECEIPT, about=f"topup:{topup.pk}", mode=TopupMode(topup.mode), topup=topup,
        total_nano=topup.amount_nano + topup.tax_nano, content=content,
    )  # fmt: skip


def _credit_note(
    receipt: Paper, topup: Topup, about: str, back: Refund | Dispute, *, text: str, sign: int = -1
) -> None:
    if _exists(PaperKind.CREDIT_NOTE, about):
        return
    net = back.amount_nano - back.tax_nano
    content = {
        "buyer": receipt.content["buyer"], "lines": [{"text": text, "amount_nano": sign * net}], "net_nano": sign * net,
        "tax_nano": sign * back.tax_nano, "reference": back.pk, "corrects": receipt.number,
    }  # fmt: skip
    issue(
        topup.organization, PaperKind.CREDIT_NOTE, about=about, mode=TopupMode(topup.mode), topup=topup,
        total_nano=sign * back.amount_nano, content=content,
    )  # fmt: skip


def issue(
    organization: Organization,
    kind: PaperKind,
    *,
    about: str,
    mode: TopupMode,
    total_nano: int,
    content: dict[str, Any],
    topup: Topup | None = None,
    period: date | None = None,
) -> Paper:
    """A paper with the next number, and a mail with its address. ``content`` gets the seller, and is what it says for ever."""
    seller = {
        "name": settings.SELLER_NAME, "address": settings.SELLER_ADDRESS.splitlines(), "tax_id": settings.SELLER_TAX_ID,
    }  # fmt: skip
    paper = Paper.objects.create(
        id=uuid7(), organization=organization, kind=kind, mode=mode, number=_next_number(kind, mode), topup=topup, about=about,
        period=period, total_nano=total_nano, content={"seller": seller, "currency": "USD", "organization": organization.slug, **content},
    )  # fmt: skip
    _tell(paper)
    return paper


def page_of(paper: Paper) -> str:
    """Where it is on the web."""
    return f"{settings.PUBLIC_URL}/wallet/invoices/{paper.number}"


def _next_number(kind: PaperKind, mode: TopupMode) -> str:
    test = "T" if mode == TopupMode.TEST else ""  # test money has series of its own
    series = f"{test}{LETTERS[kind]}-{timezone.now().year}"
    rows = execute(
        """INSERT INTO billing_paperseries (name, last) VALUES (%s, 1)
           ON CONFLICT (name) DO UPDATE SET last = billing_paperseries.last + 1 RETURNING last""",
        series,
    )
    return f"{series}-{rows[0][0]:06d}"


def _exists(kind: PaperKind, about: str) -> bool:
    return Paper.objects.filter(kind=kind, about=about).exists()


def _tell(paper: Paper) -> None:
    context = {
        "organization": paper.organization.slug, "kind": str(PaperKind(paper.kind).label), "number": paper.number,
        "amount": dollars(paper.total_nano), "url": page_of(paper),
    }  # fmt: skip
    details = BillingDetails.objects.filter(organization=paper.organization_id).exclude(email="").first()
    key = f"paper:{paper.number}"
    if details:
        write([details.email], key=key, template="paper", context=context)
    else:
        write_to_buyers(paper.organization, key=key, template="paper", context=context)
