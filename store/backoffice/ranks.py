"""Which models were called the most in a period, and what a place in such a list is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils import timezone

from store.backoffice.links import rows
from store.backoffice.period import Period
from store.ledger.dollars import dollars
from store.ledger.sql import execute
from store.reputation.periods import hour_of
from store.runs.ids import first_id

TOP: Final = 8
COUNTED: Final = timedelta(hours=3)  # an hour of runs is counted for the last time two hours after it began


@dataclass(frozen=True, slots=True)
class Ranked:
    """A place in a list: an amount of nano-dollars, and the address of its rows."""

    name: str
    nano: int
    url: str

    @property
    def amount(self) -> str:
        return dollars(self.nano)


def listings(period: Period) -> list[Ranked]:
    """The models whose calls cost the most: from the hours that are counted, and of those that are not yet from the runs."""
    edge = min(max(hour_of(timezone.now() - COUNTED), period.starts_at), period.ends_at)
    found = execute(
        f"""SELECT o.slug || '/' || l.slug, l.id, t.nano FROM (
                SELECT listing_id, sum(nano)::bigint AS nano FROM (
                    SELECT listing_id, sum(charge_nano) AS nano FROM reputation_listinghour WHERE hour >= %s AND hour < %s GROUP BY 1
                    UNION ALL
                    SELECT listing_id, sum(charge_nano) FROM runs_run WHERE id >= %s AND id < %s AND status <> 'open' GROUP BY 1
                ) AS part GROUP BY 1 ORDER BY nano DESC, listing_id LIMIT {TOP}
            ) AS t JOIN catalog_listing l ON l.id = t.listing_id JOIN accounts_organization o ON o.id = l.organization_id
            WHERE t.nano > 0 ORDER BY t.nano DESC, l.id""",
        period.starts_at,
        edge,
        first_id(edge),
        first_id(period.ends_at),
    )
    ids = {"id__gte": first_id(period.starts_at), "id__lt": first_id(period.ends_at)}  # a run's time is in its id
    return [Ranked(name, nano, rows("runs_run", listing__id__exact=id, **ids)) for name, id, nano in found]
