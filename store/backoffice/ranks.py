"""Who sold, bought and was called the most in a period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils import timezone

from store.backoffice.days import TRADES, parts
from store.backoffice.links import CHARGES, EARNED, rows, transfers
from store.backoffice.period import Period
from store.ledger.dollars import dollars
from store.ledger.sql import execute
from store.reputation.periods import first_id, hour_of

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


def traders(period: Period) -> tuple[list[Ranked], list[Ranked]]:
    """Who earned the most, royalties included, and who paid the most: one look at the days for both."""
    found = execute(
        f"""WITH traded AS MATERIALIZED (
                SELECT wallet_id, sum(paid_nano)::bigint AS paid, sum(earned_nano)::bigint AS earned FROM ({TRADES}) AS m GROUP BY 1
            ), best AS (
                (SELECT true AS sells, wallet_id, earned AS nano FROM traded WHERE earned > 0 ORDER BY 3 DESC, 2 LIMIT {TOP})
                UNION ALL
                (SELECT false, wallet_id, paid FROM traded WHERE paid > 0 ORDER BY 3 DESC, 2 LIMIT {TOP})
            )
            SELECT b.sells, o.slug, w.id, b.nano FROM best b JOIN ledger_wallet w ON w.id = b.wallet_id
            JOIN accounts_organization o ON o.id = w.organization_id ORDER BY b.nano DESC, w.id""",
        *parts(period),
    )
    providers = [
        Ranked(name, nano, transfers(EARNED, period, credit__id__exact=wallet_id))
        for sells, name, wallet_id, nano in found
        if sells
    ]
    consumers = [
        Ranked(name, nano, transfers(CHARGES, period, debit__id__exact=wallet_id))
        for sells, name, wallet_id, nano in found
        if not sells
    ]
    return providers, consumers


def listings(period: Period) -> list[Ranked]:
    """The models whose calls cost the most: from the hours that are counted, and of those that are not yet from the runs."""
    edge = min(max(hour_of(timezone.now() - COUNTED), period.starts_at), period.ends_at)
    found = execute(
        f"""SELECT o.slug || '/' || l.slug, l.id, t.nano FROM (
                SELECT listing_id, sum(nano)::bigint AS nano FROM (
                    SELECT listing_id, charge_nano AS nano FROM reputation_listinghour WHERE hour >= %s AND hour < %s
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
