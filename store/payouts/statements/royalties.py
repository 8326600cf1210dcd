"""Royalties one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from store.accounts.models import Organization
from store.ledger.models import Transfer
from store.payouts.statements.rows import FOR_WHAT

ROYALTIES = f"""
SELECT m.created_at, coalesce(l.name, ''), r.id::text, j.public_id, coalesce(r.charge_nano, j.charge_nano), m.amount_nano
FROM ledger_transfer m {FOR_WHAT} WHERE m.id = ANY(%(ids)s) ORDER BY m.id DESC
"""


@dataclass(frozen=True, slots=True)
class Royalty:
    """Of a run, or of a training; nano-dollars. ``listing`` is what was called: empty for others' private models."""

    time: datetime
    listing: str
    run_id: str | None
    job_id: str | None
    charge_nano: int
    royalty_nano: int


def royalties_of(organization: Organization, transfers: Sequence[Transfer]) -> list[Royalty]:
    """What these transfers of the organization's royalties were for, the newest first."""
    with connection.cursor() as cursor:
        cursor.execute(ROYALTIES, {"owner": organization.pk, "ids": [transfer.pk for transfer in transfers]})
        return [Royalty(*row) for row in cursor.fetchall()]
