"""A statement in sum, as a PDF, set by Typst. What people have named goes in as data, never as markup."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typst
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from store.accounts.models import Organization
from store.billing.checkout import mode_now
from store.billing.models import TopupMode
from store.ledger.dollars import dollars
from store.ledger.models import TransferKind
from store.payouts.models import Payout
from store.payouts.statements.period import Period
from store.payouts.statements.summary import Line, Summary, summary

TEMPLATE = Path(__file__).with_name("statement.typ")
MOST_LINES = 500  # models on paper; the files have all


def as_pdf(organization: Organization, period: Period) -> bytes:
    """The whole file: as long as there are models, not calls."""
    shown = json.dumps(_shown(organization, summary(organization, period)))
    made: bytes = typst.compile(str(TEMPLATE), format="pdf", sys_inputs={"data": shown}, root=str(TEMPLATE.parent))
    return made


def _shown(organization: Organization, found: Summary) -> dict[str, Any]:
    lines, rest = found.lines[:MOST_LINES], found.lines[MOST_LINES:]
    return {
        "title": _("Statement of earnings"), "language": (get_language() or "en").partition("-")[0], "is_test": mode_now() == TopupMode.TEST,
        "name": organization.name, "slug": organization.slug, "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "period": f"{found.period.first} – {found.period.last}", "opening": dollars(found.opening_nano), "closing": dollars(found.closing_nano),
        "kinds": [[line.label, f"{line.count:,}", dollars(line.amount_nano)] for line in found.kinds],
        "lines": [_line(line) for line in lines if line.charge_nano], "payouts": [_payout(payout) for payout in found.payouts],
        "more": ngettext("%(count)d more in the files.", "%(count)d more in the files.", len(rest)) % {"count": len(rest)} if rest else "",
        "texts": _texts(),
    }  # fmt: skip


def _line(line: Line) -> list[str]:
    name = line.listing or (_("Private models") if line.kind == TransferKind.ROYALTY else "–")
    return [
        name,
        line.label,
        f"{line.count:,}",
        f"{line.tokens:,}",
        dollars(line.charge_nano),
        dollars(line.amount_nano),
    ]


def _payout(payout: Payout) -> list[str]:
    return [
        f"{payout.created_at:%Y-%m-%d}", str(payout.pk), str(payout.get_status_display()), dollars(payout.fee_nano), dollars(payout.sent_nano),
    ]  # fmt: skip


def _texts() -> dict[str, str]:
    return {
        "test": _("Test money: none of this is real."), "made": _("made"), "what": _("What"), "count": _("Times"), "amount": _("Amount"),
        "opening": _("Opening balance"), "closing": _("Closing balance"), "models": _("By model"), "model": _("Model"),
        "tokens": _("Tokens"), "charge": _("Charged to customers"), "payouts": _("Payouts asked for"), "date": _("Date"), "id": _("Id"),
        "state": _("State"), "fee": _("Fee"), "sent": _("Sent"),
        "exact": _("Amounts are US dollars, exact to a billionth. Days are in UTC. The CSV and Parquet files have every single run."),
    }  # fmt: skip
