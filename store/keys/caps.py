"""Budgets as a hold meets them: read under the lock of the organizations' wallets, counted down, written with the hold.

The lock is the caller's (``ledger.actions.lock_credit``): a call and a training take of the same budgets, and neither sees what the
other has not written yet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from store.errors import StoreError
from store.keys.models import Period, period_starts_on
from store.ledger.dollars import dollars
from store.ledger.sql import array, execute


class Spender(NamedTuple):
    """Who pays by what for what. ``user_id`` None: whoever made the key. ``listing_id`` None: a model from nothing."""

    organization_id: int
    api_key_id: int | None
    user_id: int | None
    listing_id: int | None


@dataclass(slots=True)
class BudgetCap:
    """What is left of a budget in the current period. ``use_id`` None: nothing was used in it yet, there is no row."""

    budget_id: int
    scope: str  # "organization", "member" or "key"
    listing_id: int | None
    period: str
    starts_on: date
    limit_nano: int
    is_hard: bool
    use_id: int | None
    left_nano: int
    has_refused: bool  # and that is written down
    taken_nano: int = 0  # since it was read

    def take(self, amount_nano: int) -> None:
        self.left_nano -= amount_nano
        self.taken_nano += amount_nano


WHICH = {  # by scope, and whether it is for one model
    ("organization", False): _lazy("The organization's budget"),
    ("organization", True): _lazy("The organization's budget for this model"),
    ("member", False): _lazy("The member's budget"),
    ("member", True): _lazy("The member's budget for this model"),
    ("key", False): _lazy("The key's budget"),
    ("key", True): _lazy("The key's budget for this model"),
}


class BudgetExceeded(StoreError):
    """A hard budget cannot hold the worst case. ``cap`` is which."""

    code = "budget_exceeded"
    status = 402
    default_message = "A budget does not cover this request."

    def __init__(self, cap: BudgetCap) -> None:
        self.cap = cap
        which = WHICH[cap.scope, cap.listing_id is not None]
        words = _("%(which)s, %(limit)s %(period)s, does not cover this request: %(left)s is left.")
        limit, left = dollars(cap.limit_nano), dollars(max(cap.left_nano, 0))
        super().__init__(words % {"which": which, "limit": limit, "period": Period(cap.period).label, "left": left})


@dataclass(slots=True)
class KeyCap:
    """A key and the runs that it has open."""

    organization_id: int
    is_live: bool
    max_parallel: int | None
    open_runs: int
    opened: int = 0  # since it was read


@dataclass(frozen=True, slots=True)
class SpendingCaps:
    """Of some spenders: their keys by id, and the budgets that bind each. What several share is one object."""

    keys: dict[int, KeyCap]
    budgets: dict[Spender, list[BudgetCap]]


READ = """SELECT w.place, k.id, k.organization_id, k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > %s::timestamptz),
          k.max_parallel, coalesce(u.open_runs, 0), b.id,
          CASE WHEN b.api_key_id IS NOT NULL THEN 'key' WHEN b.member_id IS NOT NULL THEN 'member' ELSE 'organization' END,
          b.listing_id, b.period, b.limit_nano, b.is_hard, s.id, b.limit_nano - coalesce(s.used_nano, 0), s.refused_at IS NOT NULL
   FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
        WITH ORDINALITY AS w(organization_id, api_key_id, user_id, listing_id, place)
   LEFT JOIN keys_apikey k ON k.id = w.api_key_id
   LEFT JOIN keys_keyuse u ON u.api_key_id = k.id
   LEFT JOIN LATERAL (
       SELECT * FROM keys_budget WHERE api_key_id = w.api_key_id
       UNION ALL
       SELECT * FROM keys_budget WHERE organization_id = w.organization_id AND api_key_id IS NULL
           AND (member_id IS NULL OR member_id = coalesce(w.user_id, k.created_by_id))
   ) AS b ON b.listing_id IS NULL OR b.listing_id = w.listing_id
   LEFT JOIN keys_budgetuse s ON s.budget_id = b.id
        AND s.starts_on = CASE b.period WHEN 'day' THEN %s::date WHEN 'month' THEN %s::date ELSE %s::date END
   ORDER BY b.id"""


def read_caps(spenders: Collection[Spender], *, now: datetime) -> SpendingCaps:
    """One statement, for each is most of the price of a call that comes alone. A key that does not exist is not in the answer."""
    today = now.astimezone(UTC).date()
    starts = {period: period_starts_on(period, today) for period in Period.values}
    who = list(spenders)
    rows = execute(
        READ,
        now.isoformat(),
        array([one.organization_id for one in who]),
        array([one.api_key_id for one in who]),
        array([one.user_id for one in who]),
        array([one.listing_id for one in who]),
        *(starts[period].isoformat() for period in (Period.DAY, Period.MONTH, Period.TOTAL)),
    )
    caps: dict[int, BudgetCap] = {}
    found = SpendingCaps({}, {one: [] for one in who})
    for place, key_id, owner, is_live, parallel, open_runs, budget_id, scope, listing_id, period, *rest in rows:
        if key_id is not None and key_id not in found.keys:
            found.keys[key_id] = KeyCap(owner, is_live, parallel, open_runs)
        if budget_id is None:
            continue
        cap = caps.get(budget_id)
        if cap is None:
            cap = caps[budget_id] = BudgetCap(budget_id, scope, listing_id, period, starts[period], *rest)
        found.budgets[who[place - 1]].append(cap)
    return found


def write_use(caps: Collection[BudgetCap]) -> None:
    """Adds what was taken to the uses of the period, and gives each cap the id of its use."""
    taken = list({cap.budget_id: cap for cap in caps}.values())
    if not taken:
        return
    rows = execute(
        """INSERT INTO keys_budgetuse (budget_id, starts_on, used_nano)
           SELECT * FROM unnest(%s::bigint[], %s::date[], %s::bigint[])
           ON CONFLICT (budget_id, starts_on) DO UPDATE SET used_nano = keys_budgetuse.used_nano + EXCLUDED.used_nano
           RETURNING budget_id, id""",
        array([cap.budget_id for cap in taken]),
        array([cap.starts_on for cap in taken]),
        array([cap.taken_nano for cap in taken]),
    )
    use_ids = dict(rows)
    for cap in taken:
        cap.use_id = use_ids[cap.budget_id]


def write_refusals(caps: Collection[BudgetCap]) -> None:
    """Notes the first refusal of a period, which people are told of (``store.usage.alerts``). Those that come after it cost nothing."""
    refusing = [cap for cap in {cap.budget_id: cap for cap in caps}.values() if not cap.has_refused]
    if not refusing:
        return
    execute(
        """INSERT INTO keys_budgetuse (budget_id, starts_on, used_nano, refused_at)
           SELECT b.id, r.starts_on, 0, now() FROM unnest(%s::bigint[], %s::date[]) AS r(budget_id, starts_on)
           JOIN keys_budget b ON b.id = r.budget_id
           ON CONFLICT (budget_id, starts_on) DO UPDATE SET refused_at = coalesce(keys_budgetuse.refused_at, EXCLUDED.refused_at)""",
        array([cap.budget_id for cap in refusing]),
        array([cap.starts_on for cap in refusing]),
    )


def release(amounts: Mapping[int, int]) -> None:
    """Gives back what was held and not charged: nano-dollars by the id of a use. A budget that was removed meanwhile has none."""
    if amounts:
        execute(
            """UPDATE keys_budgetuse u SET used_nano = u.used_nano - e.nano
               FROM unnest(%s::bigint[], %s::bigint[]) AS e(id, nano) WHERE u.id = e.id""",
            array(amounts),
            array(amounts.values()),
        )
