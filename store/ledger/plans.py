"""Plans of shares as rows: a content is kept once, however many runs are shared by it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from store.ledger.shares import Owed, Plan
from store.ledger.sql import array, execute, text_array

WANTED = """
unnest(%s::int[], %s::int[], %s::text[], %s::text[], %s::bigint[], %s::bool[])
  WITH ORDINALITY AS w(commission_ppm, cap_ppm, owed, ppms, rest_id, rest_is_royalty, place)
"""
FIND = f"""
SELECT w.place, s.id FROM {WANTED} JOIN ledger_sharesplan s
  ON s.rest_id = w.rest_id AND s.royalty_organizations = w.owed::bigint[] AND s.royalty_ppms = w.ppms::int[]
 AND s.commission_ppm = w.commission_ppm AND s.cap_ppm = w.cap_ppm AND s.rest_is_royalty = w.rest_is_royalty
"""
# In an order of their own, so that two transactions that keep the same plans do not wait for each other in a circle.
KEEP = f"""
INSERT INTO ledger_sharesplan (commission_ppm, cap_ppm, royalty_organizations, royalty_ppms, rest_id, rest_is_royalty)
SELECT commission_ppm, cap_ppm, owed::bigint[], ppms::int[], rest_id, rest_is_royalty FROM {WANTED} ORDER BY rest_id, owed, ppms, 1, 2, 6
ON CONFLICT DO NOTHING
"""


def keep_plans(plans: Iterable[Plan]) -> dict[Plan, int]:
    """Their ids; those that are new are written down. Inside a transaction that has all its credit wallets locked already."""
    wanted = list(dict.fromkeys(plans))
    if not wanted:
        return {}
    found = _find(wanted)
    missing = [plan for plan in wanted if plan not in found]
    if missing:
        execute(KEEP, *_columns(missing))
        found |= _find(missing)
    return found


def read_plans(ids: Collection[int]) -> dict[int, Plan]:
    """The plans of these rows."""
    rows = execute(
        """SELECT id, commission_ppm, cap_ppm, royalty_organizations, royalty_ppms, rest_id, rest_is_royalty FROM ledger_sharesplan
           WHERE id = ANY(%s::bigint[])""",
        array(ids),
    )
    return {
        row_id: Plan(
            commission_ppm=commission,
            cap_ppm=cap,
            royalties=tuple(Owed(one, ppm) for one, ppm in zip(owed, ppms, strict=True)),
            rest_id=rest_id,
            rest_is_royalty=rest_is_royalty,
        )
        for row_id, commission, cap, owed, ppms, rest_id, rest_is_royalty in rows
    }


def _find(plans: list[Plan]) -> dict[Plan, int]:
    rows: list[tuple[Any, ...]] = execute(FIND, *_columns(plans))
    return {plans[place - 1]: plan_id for place, plan_id in rows}


def _columns(plans: list[Plan]) -> list[str]:
    return [
        array([plan.commission_ppm for plan in plans]),
        array([plan.cap_ppm for plan in plans]),
        text_array([array([owed.organization_id for owed in plan.royalties]) for plan in plans]),
        text_array([array([owed.ppm for owed in plan.royalties]) for plan in plans]),
        array([plan.rest_id for plan in plans]),
        array([plan.rest_is_royalty for plan in plans]),
    ]
