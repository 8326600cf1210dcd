"""A paper as people read it: words and amounts in the order in which they stand there, for the page and the PDF alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import typst
from django.utils.translation import gettext as _

from store.billing.countries import COUNTRIES
from store.billing.models import Paper, PaperKind, TopupMode
from store.ledger.dollars import dollars

TEMPLATE = Path(__file__).with_name("paper.typ")
CLOSED = {PaperKind.RECEIPT: _("Paid"), PaperKind.CREDIT_NOTE: _("Went back")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """``rows``: cells, the last of which is an amount. ``head``: as many words."""

    title: str
    head: list[str]
    rows: list[list[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """``facts`` and ``totals``: pairs of a word and what it is; the last total is the one that matters."""

    title: str
    number: str
    language: str
    seller: list[str]
    buyer: list[str]
    facts: list[tuple[str, str]]
    tables: list[Table]
    totals: list[tuple[str, str]]
    notes: list[str]


def sheet_of(paper: Paper) -> Sheet:
    """What stands on a paper: nothing but what was frozen when it was issued."""
    said = paper.content
    is_statement = paper.kind == PaperKind.STATEMENT
    return Sheet(
        title=str(PaperKind(paper.kind).label), number=paper.number, language="en", seller=_who(said["seller"]), buyer=_who(said["buyer"]),
        facts=_facts(paper), tables=_statement_tables(said) if is_statement else _tables(said),
        totals=_statement_totals(said) if is_statement else _totals(paper), notes=_notes(paper),
    )  # fmt: skip


def as_pdf(paper: Paper) -> bytes:
    """The same bytes for the same paper."""
    data = msgspec.json.encode({**asdict(sheet_of(paper)), "date": paper.issued_at.strftime("%Y-%m-%d")}).decode()
    made: Any = typst.compile(_source(), sys_inputs={"sheet": data}, format="pdf")
    return bytes(made)


@cache
def _source() -> bytes:
    return TEMPLATE.read_bytes()


def _who(person: dict[str, Any]) -> list[str]:
    tax_id = person.get("tax_id")
    return [person["name"], *person["address"], *([_("Tax id: %s") % tax_id] if tax_id else [])]


def _facts(paper: Paper) -> list[tuple[str, str]]:
    said = paper.content
    facts = [
        (_("Number"), paper.number),
        (_("Date"), f"{paper.issued_at:%Y-%m-%d}"),
        (_("Account"), said["organization"]),
    ]
    for word, name in ((_("Month"), "period"), (_("Corrects"), "corrects"), (_("Payment"), "reference")):
        if said.get(name):
            facts.append((word, said[name]))
    return facts


def _tables(said: dict[str, Any]) -> list[Table]:
    rows = [[line["text"], dollars(line["amount_nano"])] for line in said["lines"]]
    return [Table(title="", head=[_("What"), _("Amount")], rows=rows)]


def _totals(paper: Paper) -> list[tuple[str, str]]:
    said = paper.content
    return [
        (_("Net"), dollars(said["net_nano"])), (_("Tax"), dollars(said["tax_nano"])),
        (_("Total in %s") % said["currency"], dollars(paper.total_nano)),
    ]  # fmt: skip


def _statement_tables(said: dict[str, Any]) -> list[Table]:
    used = [
        [line["text"], *(f"{line[name]:,}" if name in line else "" for name in ("calls", "tokens_in", "tokens_out")), dollars(line["amount_nano"])]
        for line in said["used"]
    ]  # fmt: skip
    moved = [[line["text"], dollars(line["amount_nano"])] for line in said["moved"]]
    return [
        Table(title=_("Credit"), head=[_("What"), _("Amount")], rows=moved),
        Table(title=_("Used"), head=[_("Model"), _("Calls"), _("Tokens in"), _("Tokens out"), _("Amount")], rows=used),
    ]


def _statement_totals(said: dict[str, Any]) -> list[tuple[str, str]]:
    used = sum(line["amount_nano"] for line in said["used"])
    added = sum(line["amount_nano"] for line in said["moved"])
    return [
        (_("Balance when the month began"), dollars(said["opening_nano"])), (_("Added and gone back"), dollars(added)),
        (_("Used"), dollars(-used)), (_("Balance when the month ended"), dollars(said["closing_nano"])),
    ]  # fmt: skip


def _notes(paper: Paper) -> list[str]:
    said, notes = paper.content, []
    if paper.mode == TopupMode.TEST:
        notes.append(_("Test money: nothing was paid, and nothing is owed."))
    if paper.kind == PaperKind.STATEMENT:
        notes.append(_("Paid out of credit that was bought before: no payment is due. Tax stands on the receipts."))
    elif said["buyer"].get("tax_id") and not said["tax_nano"] and said["buyer"].get("country") in COUNTRIES:
        notes.append(
            _(
                "No tax was charged to a business with this tax id. Where the law says so, the customer owes it (reverse charge)."
            )
        )
    return notes
