"""A statement's rows: every transfer that touched the earnings, with the run or the training that it was for.

All of it is one SQL statement, the opening balance too, so that it shows one moment of the books: opening plus rows is the closing balance to
the unit, however busy the store is. It is read from a cursor on the server: memory does not grow with the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from store.accounts.models import Organization
from store.ledger.dollars import NANO_PER_DOLLAR
from store.ledger.models import Wallet, WalletKind
from store.payouts.history import NAME, first_transfer
from store.payouts.statements.period import Period

OPENING, CLOSING = "opening_balance", "closing_balance"
CHUNK = 5000
# The legs of one wallet in a time: (id, key, kind, created_at, delta). Twice a range of an index.
LEGS = """
SELECT id, key, kind, created_at, amount_nano AS delta FROM ledger_transfer
WHERE credit_id = %(wallet)s AND id >= %(first)s AND created_at >= %(since)s AND created_at < %(until)s
UNION ALL SELECT id, key, kind, created_at, -amount_nano FROM ledger_transfer
WHERE debit_id = %(wallet)s AND id >= %(first)s AND created_at >= %(since)s AND created_at < %(until)s
"""
OPEN_WITH = f"""
SELECT (coalesce((SELECT posted_nano FROM ledger_wallet WHERE id = %(wallet)s), 0)
        - coalesce((SELECT sum(delta) FROM ({LEGS.replace("AND created_at < %(until)s", "")}) AS since), 0))::bigint AS nano
"""
# What a leg was for. LIMIT keeps these lookups of single rows, whatever the planner makes of the number of legs.
FOR_WHAT = f"""
LEFT JOIN LATERAL (
    SELECT run.id, run.listing_id, run.prompt_tokens, run.cached_tokens, run.output_tokens, run.charge_nano, run.commission_ppm
    FROM runs_run run WHERE m.key LIKE 'run:%%' AND run.id = CASE WHEN m.key LIKE 'run:%%' THEN split_part(m.key, ':', 2)::uuid END LIMIT 1
) AS r ON true
LEFT JOIN LATERAL (
    SELECT job.public_id, base.listing_id, job.charged_tokens, job.charge_nano, job.commission_ppm
    FROM tuning_tunejob job LEFT JOIN catalog_release base ON base.id = job.base_id
    WHERE m.key LIKE 'tune:%%' AND job.hold_id = CASE WHEN m.key LIKE 'tune:%%' THEN split_part(m.key, ':', 2)::uuid END LIMIT 1
) AS j ON true
LEFT JOIN LATERAL (
    SELECT {NAME.format(owner="%(owner)s")} AS name FROM catalog_listing l JOIN accounts_organization o ON o.id = l.organization_id
    WHERE l.id = coalesce(r.listing_id, j.listing_id) LIMIT 1
) AS l ON true
"""
ROWS = f"""
SELECT 0 AS id, %(since)s::timestamptz, 'opening_balance', '', NULL, NULL, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, nano
FROM ({OPEN_WITH}) AS opening
UNION ALL
SELECT * FROM (
    SELECT m.id, m.created_at, m.kind, coalesce(l.name, ''), r.id::text, j.public_id, m.key, r.prompt_tokens, r.cached_tokens,
           r.output_tokens, j.charged_tokens, c.charge_nano, c.commission_nano,
           CASE m.kind WHEN 'usage' THEN c.charge_nano - c.commission_nano - m.delta END, m.delta
    FROM ({LEGS}) AS m {FOR_WHAT}
    CROSS JOIN LATERAL (
        SELECT coalesce(r.charge_nano, j.charge_nano) AS charge_nano,
               div(coalesce(r.charge_nano, j.charge_nano)::numeric * coalesce(r.commission_ppm, j.commission_ppm), 1000000)::bigint
               AS commission_nano) AS c
    ORDER BY m.id) AS rows
"""


@dataclass(frozen=True, slots=True)
class Row:
    """Money in nano-dollars; None where it does not apply. ``amount_nano`` is what the earnings grew by, ``balance_nano`` what they were then.

    ``listing`` is what was called or trained on: empty for others' private models. Of the charge, ``commission_nano`` is the store's and
    ``royalties_nano`` what others had.
    """

    time: datetime
    kind: str
    listing: str
    run_id: str | None
    job_id: str | None
    reference: str
    prompt_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    trained_tokens: int | None
    charge_nano: int | None
    commission_nano: int | None
    royalties_nano: int | None
    amount_nano: int
    balance_nano: int

    @property
    def amount_usd(self) -> str:
        """Dollars with all nine digits behind the point."""
        whole, fraction = divmod(abs(self.amount_nano), NANO_PER_DOLLAR)
        return f"{'-' if self.amount_nano < 0 else ''}{whole}.{fraction:09d}"


def wallet_id_of(organization: Organization) -> int:
    """The earnings wallet; 0, which no row has, where nothing was ever earned."""
    found = Wallet.objects.filter(organization=organization, kind=WalletKind.EARNINGS).values_list("pk", flat=True)
    return found.first() or 0


def parameters(organization: Organization, period: Period) -> dict[str, Any]:
    """What the statements above are asked with."""
    return {
        "wallet": wallet_id_of(organization), "owner": organization.pk, "since": period.since, "until": period.until,
        "first": first_transfer(period.since),
    }  # fmt: skip


def statement_rows(organization: Organization, period: Period) -> Iterator[Row]:
    """The opening balance, all rows in the order in which they were booked, and the closing balance. Keeps a transaction open meanwhile."""
    balance = 0
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(ROWS, parameters(organization, period))
        while chunk := cursor.fetchmany(CHUNK):
            for _id, *fields, delta in chunk:
                balance += delta
                row: list[Any] = [*fields, 0 if fields[1] == OPENING else delta, balance]
                yield Row(*row)
    end: list[Any] = [period.until, CLOSING, "", None, None, "", *(None,) * 7, 0, balance]
    yield Row(*end)
