"""Every cap that applies to a batch of opening runs, read under its locks, and counted down request by request.

The reading takes the lock of each organization (its credit wallet, see ``ledger.actions``); nothing here changes a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from store.catalog.models import CALLABLE
from store.keys.grants import InvalidKey
from store.keys.models import Period, period_starts_on
from store.ledger import actions as ledger
from store.ledger.errors import InsufficientCredit
from store.ledger.pricing import Rates, affordable_tokens, charge
from store.ledger.sql import array, execute, text_array
from store.runs.books import BudgetExceeded, ModelNotFound, OpenRun, TooManyParallel

RETRY_PARALLEL_S = 1.0


@dataclass(slots=True)
class WalletCap:
    """What is left on a credit wallet."""

    wallet_id: int
    left_nano: int


@dataclass(slots=True)
class BudgetCap:
    """What is left of a budget in the current period. ``use_id`` None: nothing was used in it yet, there is no row."""

    budget_id: int
    listing_id: int | None
    starts_on: date
    use_id: int | None
    left_nano: int
    taken_nano: int = 0  # by this batch


@dataclass(slots=True)
class KeyCap:
    """A key and the runs that it has open."""

    organization_id: int
    is_live: bool
    max_parallel: int | None
    open_runs: int
    opened: int = 0  # by this batch
    budgets: list[BudgetCap] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a listing costs now."""

    price_id: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Grant:
    """What a run was given: it is counted in the caps already."""

    run: OpenRun
    wallet_id: int
    price_id: int
    max_tokens: int
    held_nano: int
    budgets: list[BudgetCap]


class Caps:
    """The caps of one batch."""

    def __init__(self, batch: Sequence[OpenRun], *, now: datetime) -> None:
        """Locks and reads. Raises :class:`store.ledger.actions.WalletMissing`."""
        purses = ledger.lock_credit({item.organization_id for item in batch})
        self.wallets = {owner: WalletCap(purse.wallet_id, purse.available_nano) for owner, purse in purses.items()}
        key_ids = {item.api_key_id for item in batch if item.api_key_id is not None}
        self.keys = _read_keys(key_ids, now) if key_ids else {}
        self.offers = _read_offers({(item.listing_id, item.release_id, item.organization_id) for item in batch})

    def take(self, run: OpenRun) -> Grant:
        """Takes the run's worst case from every cap at once. Raises the StoreError of the cap that is short: then nothing is taken."""
        offer = self.offers.get((run.listing_id, run.release_id, run.organization_id))
        if offer is None:
            raise ModelNotFound(param="model")
        wallet, key, budgets = self.wallets[run.organization_id], None, []
        if run.api_key_id is not None:
            key = self._live_key(run)
            budgets = [budget for budget in key.budgets if budget.listing_id in (None, run.listing_id)]
        max_tokens, held = _worst_case(run, offer.rates, wallet, budgets)
        wallet.left_nano -= held
        for budget in budgets:
            budget.left_nano -= held
            budget.taken_nano += held
        if key:
            key.opened += 1
        return Grant(run, wallet.wallet_id, offer.price_id, max_tokens, held, budgets)

    def _live_key(self, run: OpenRun) -> KeyCap:
        key = self.keys.get(run.api_key_id or 0)
        if key is None or not key.is_live or key.organization_id != run.organization_id:
            raise InvalidKey
        if key.max_parallel is not None and key.open_runs + key.opened >= key.max_parallel:
            raise TooManyParallel(retry_after_s=RETRY_PARALLEL_S)
        return key


def _worst_case(run: OpenRun, rates: Rates, wallet: WalletCap, budgets: list[BudgetCap]) -> tuple[int, int]:
    """(max_tokens, nano-dollars to hold). Without ``max_tokens``: as many as the tightest cap affords, at least one."""
    most = run.context_left if run.max_tokens is None else min(run.max_tokens, run.context_left)
    least = 1 if run.max_tokens is None else most
    for left_nano, error in [(wallet.left_nano, InsufficientCredit), *((b.left_nano, BudgetExceeded) for b in budgets)]:
        tokens = affordable_tokens(rates, prompt_tokens=run.prompt_tokens, amount_nano=left_nano, at_most=most)
        if tokens < least:
            raise error
        most = tokens
    return most, charge(rates, prompt_tokens=run.prompt_tokens, output_tokens=most)


def _read_keys(key_ids: set[int], now: datetime) -> dict[int, KeyCap]:
    today = now.astimezone(UTC).date()
    starts = {period: period_starts_on(period, today) for period in Period.values}
    rows = execute(
        """SELECT k.id, k.organization_id, k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > %s::timestamptz),
                  k.max_parallel, coalesce(u.open_runs, 0),
                  b.id, b.listing_id, b.period, b.limit_nano, s.id, coalesce(s.used_nano, 0)
           FROM keys_apikey k LEFT JOIN keys_keyuse u ON u.api_key_id = k.id
           LEFT JOIN keys_budget b ON b.api_key_id = k.id
           LEFT JOIN keys_budgetuse s ON s.budget_id = b.id
                AND s.starts_on = CASE b.period WHEN 'day' THEN %s::date WHEN 'month' THEN %s::date ELSE %s::date END
           WHERE k.id = ANY(%s::bigint[]) ORDER BY b.id""",
        now.isoformat(),
        *(starts[period].isoformat() for period in (Period.DAY, Period.MONTH, Period.TOTAL)),
        array(key_ids),
    )
    keys: dict[int, KeyCap] = {}
    for key_id, owner, live, parallel, runs, budget_id, listing_id, period, limit, use_id, used in rows:
        key = keys.setdefault(key_id, KeyCap(owner, live, parallel, runs))
        if budget_id is not None:
            key.budgets.append(BudgetCap(budget_id, listing_id, starts[period], use_id, limit - used))
    return keys


def _read_offers(wanted: set[tuple[int, int, int]]) -> dict[tuple[int, int, int], Offer]:
    """Offers by (listing, release, organization), of those that the organization may call at this moment."""
    triples = sorted(wanted)
    rows = execute(
        """SELECT w.listing_id, w.release_id, w.organization_id, p.id,
                  p.input_nano, p.cached_input_nano, p.output_nano, p.request_nano
           FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS w(listing_id, release_id, organization_id)
           JOIN catalog_listing l ON l.id = w.listing_id
           JOIN catalog_release r ON r.id = w.release_id AND r.listing_id = l.id
           CROSS JOIN LATERAL (SELECT * FROM catalog_price WHERE listing_id = l.id AND starts_at <= statement_timestamp()
                               ORDER BY starts_at DESC, id DESC LIMIT 1) AS p
           WHERE l.status = ANY(%s::text[]) AND (NOT l.is_private OR l.organization_id = w.organization_id)""",
        array([listing_id for listing_id, _release, _owner in triples]),
        array([release_id for _listing, release_id, _owner in triples]),
        array([organization_id for _listing, _release, organization_id in triples]),
        text_array(CALLABLE),
    )
    return {
        (listing_id, release_id, owner): Offer(
            price_id, Rates(input_nano=i, cached_input_nano=c, output_nano=o, request_nano=q)
        )
        for listing_id, release_id, owner, price_id, i, c, o, q in rows
    }
