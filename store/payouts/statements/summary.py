"""A statement in sum: what was there, what came and went by kind and model, what is there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from django.db import connection

from store.accounts.models import Organization
from store.ledger.models import TransferKind
from store.payouts.models import Payout, PayoutStatus
from store.payouts.statements.period import Period
from store.payouts.statements.rows import FOR_WHAT, LEGS, OPEN_WITH, OPENING, parameters

SUMMARY = f"""
SELECT 'opening_balance' AS kind, '' AS name, 1 AS count, 0 AS tokens, 0 AS charge, nano AS amount FROM ({OPEN_WITH}) AS opening
UNION ALL
SELECT m.kind, coalesce(l.name, ''), count(*), coalesce(sum(coalesce(r.prompt_tokens + r.output_tokens, j.charged_tokens)), 0)::bigint,
       coalesce(sum(coalesce(r.charge_nano, j.charge_nano)), 0)::bigint, sum(m.delta)::bigint
FROM ({LEGS}) AS m {FOR_WHAT} GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One kind, of one model where it is for a model. ``tokens`` and ``charge_nano`` are of the calls and trainings that it is a part of."""

    kind: str
    listing: str
    count: int
    tokens: int
    charge_nano: int
    amount_nano: int

    @property
    def label(self) -> str:
        return str(TransferKind(self.kind).label)


@dataclass(frozen=True, slots=True)
class Summary:
    """``closing_nano`` = ``opening_nano`` + the lines, to the unit."""

    period: Period
    opening_nano: int
    lines: list[Line]
    payouts: list[Payout]

    @property
    def closing_nano(self) -> int:
        return self.opening_nano + sum(line.amount_nano for line in self.lines)

    @property
    def kinds(self) -> list[Line]:
        """The lines of each kind together."""
        by_kind = groupby(sorted(self.lines, key=lambda line: line.kind), key=lambda line: line.kind)
        return [_together(kind, list(lines)) for kind, lines in by_kind]


def summary(organization: Organization, period: Period) -> Summary:
    """All in one moment of the books, but for the list of payouts, which are those that ended or were asked for in the period."""
    with connection.cursor() as cursor:
        cursor.execute(SUMMARY, parameters(organization, period))
        rows = cursor.fetchall()
    lines = [Line(*row) for row in rows if row[0] != OPENING]
    opening = sum(int(row[5]) for row in rows if row[0] == OPENING)
    lines.sort(key=lambda line: (-line.amount_nano, line.kind, line.listing))
    asked = organization.payouts.filter(created_at__gte=period.since, created_at__lt=period.until)
    payouts = list(asked.exclude(status=PayoutStatus.CANCELLED).order_by("pk"))
    return Summary(period, opening, lines, payouts)


def _together(kind: str, lines: list[Line]) -> Line:
    return Line(
        kind, "", sum(line.count for line in lines), sum(line.tokens for line in lines), sum(line.charge_nano for line in lines),
        sum(line.amount_nano for line in lines),
    )  # fmt: skip
