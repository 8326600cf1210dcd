"""Every cap that applies to a batch of opening runs, read under its locks, and counted down request by request.

The reading takes the lock of each organization (its credit wallet, see ``ledger.actions``); nothing here changes a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.conf import settings

from store.catalog.commissions import RULE_OF_LISTING
from store.catalog.models import CALLABLE
from store.catalog.royalties import lineages, plan_of
from store.keys.caps import BudgetCap, BudgetExceeded, KeyCap, Spender, read_caps
from store.keys.grants import InvalidKey
from store.keys.models import Period, period_starts_on
from store.ledger import actions as ledger
from store.ledger.errors import InsufficientCredit, SpendingFrozen
from store.ledger.freezing import spending_frozen
from store.ledger.pricing import Covered, Rates, affordable_tokens, charge_beyond
from store.ledger.shares import Plan
from store.ledger.sql import array, execute, text_array
from store.runs.actions.included import LEFT_OF_PERIOD, NOTHING, IncludedCap
from store.runs.books import ModelNotFound, OpenRun, TooManyParallel

RETRY_PARALLEL_S = 1.0
OFFERS = f"""
SELECT w.listing_id, w.release_id, w.organization_id, p.id,
       p.input_nano, p.cached_input_nano, p.output_nano, p.request_nano, p.free_nano, coalesce(f.used_nano, 0),
       s.id, s.tokens, s.input, s.output, l.organization_id, coalesce(c.ppm, %s::int), r.terms_id
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS w(listing_id, release_id, organization_id)
JOIN catalog_listing l ON l.id = w.listing_id
JOIN catalog_release r ON r.id = w.release_id AND r.listing_id = l.id
CROSS JOIN LATERAL (SELECT * FROM catalog_price WHERE listing_id = l.id AND starts_at <= statement_timestamp()
                    ORDER BY starts_at DESC, id DESC LIMIT 1) AS p
LEFT JOIN LATERAL ({RULE_OF_LISTING}) AS c ON true
LEFT JOIN LATERAL ({LEFT_OF_PERIOD}) AS s ON true
LEFT JOIN runs_freeuse f ON p.free_nano > 0 AND f.organization_id = w.organization_id AND f.listing_id = l.id
     AND f.starts_on = %s::date
WHERE l.status = ANY(%s::text[]) AND (NOT l.is_private OR l.organization_id = w.organization_id)
"""


@dataclass(slots=True)
class WalletCap:
    """What is left on a credit wallet."""

    wallet_id: int
    left_nano: int


@dataclass(slots=True)
class FreeCap:
    """What is left of an organization's free allowance on a listing this month."""

    organization_id: int
    listing_id: int
    starts_on: date
    left_nano: int
    use_id: int | None = None  # once this batch has taken something
    taken_nano: int = 0  # by this batch


@dataclass(frozen=True, slots=True)
class Offer:
    """What a listing costs an organization now."""

    price_id: int
    rates: Rates
    free: FreeCap | None
    included: IncludedCap
    plan: Plan | None  # how the charge is shared; None: between the provider and the platform
    commission_ppm: int


@dataclass(frozen=True, slots=True)
class Grant:
    """What a run was given: it is counted in the caps already."""

    run: OpenRun
    wallet_id: int
    price_id: int
    max_tokens: int
    held_nano: int
    free_nano: int
    budgets: list[BudgetCap]
    free: FreeCap | None  # where free_nano is of it
    covered: Covered  # by the month of a subscription
    included: IncludedCap  # of that month
    plan: Plan | None  # as the offer's
    commission_ppm: int


class Caps:
    """The caps of one batch."""

    def __init__(self, batch: Sequence[OpenRun], *, now: datetime) -> None:
        """Locks and reads. Raises :class:`store.ledger.actions.WalletMissing`."""
        purses = ledger.lock_credit({item.organization_id for item in batch})
        self.frozen = spending_frozen(purses)
        self.wallets = {owner: WalletCap(purse.wallet_id, purse.available_nano) for owner, purse in purses.items()}
        spending = read_caps({_spender(item) for item in batch}, now=now)
        self.keys, self.budgets = spending.keys, spending.budgets
        wanted = {(item.listing_id, item.release_id, item.organization_id) for item in batch}
        self.offers = _read_offers(wanted, now)

    def take(self, run: OpenRun) -> Grant:
        """Takes the run's worst case from every cap at once. Raises the StoreError of the cap that is short: then nothing is taken."""
        offer = self.offers.get((run.listing_id, run.release_id, run.organization_id))
        if offer is None:
            raise ModelNotFound(param="model")
        if run.organization_id in self.frozen:
            raise SpendingFrozen
        wallet, budgets = self.wallets[run.organization_id], self.budgets[_spender(run)]
        key = self._live_key(run) if run.api_key_id is not None else None
        free_left = offer.free.left_nano if offer.free else 0
        max_tokens, covered, worst = _worst_case(run, offer, wallet, budgets, free_left)
        free = min(worst, free_left)
        held = worst - free
        if offer.free:
            offer.free.left_nano -= free
            offer.free.taken_nano += free
        offer.included.take(covered)
        wallet.left_nano -= held
        for budget in budgets:
            budget.take(held)
        if key:
            key.opened += 1
        allowance = offer.free if free else None
        return Grant(
            run,
            wallet.wallet_id,
            offer.price_id,
            max_tokens,
            held,
            free,
            budgets,
            allowance,
            covered,
            offer.included,
            offer.plan,
            offer.commission_ppm,
        )

    def _live_key(self, run: OpenRun) -> KeyCap:
        key = self.keys.get(run.api_key_id or 0)
        if key is None or not key.is_live or key.organization_id != run.organization_id:
            raise InvalidKey
        if key.max_parallel is not None and key.open_runs + key.opened >= key.max_parallel:
            raise TooManyParallel(retry_after_s=RETRY_PARALLEL_S)
        return key


def _worst_case(
    run: OpenRun, offer: Offer, wallet: WalletCap, budgets: list[BudgetCap], free_nano: int
) -> tuple[int, Covered, int]:
    """(max_tokens, what of them a subscription covers, what the others cost at most). Without ``max_tokens``: as many as the tightest cap
    affords, at least one.

    What a subscription includes and then the free allowance come before every cap: what they pay for is spent by nobody now.
    """
    most = run.context_left if run.max_tokens is None else min(run.max_tokens, run.context_left)
    least = 1 if run.max_tokens is None else most
    rates, covered = offer.rates, offer.included.cover(prompt_tokens=run.prompt_tokens, output_tokens=most)
    caps: list[WalletCap | BudgetCap] = [wallet, *(budget for budget in budgets if budget.is_hard)]
    for cap in caps:
        amount = cap.left_nano + free_nano
        of_prompt, of_output = run.prompt_tokens - covered.input, most - min(covered.output, most)
        beyond = affordable_tokens(rates, prompt_tokens=of_prompt, amount_nano=amount, at_most=of_output)
        if beyond < 0 or (most - of_output) + beyond < least:
            raise BudgetExceeded(cap) if isinstance(cap, BudgetCap) else InsufficientCredit
        most = most - of_output + beyond
    covered = offer.included.cover(prompt_tokens=run.prompt_tokens, output_tokens=most)
    return most, covered, charge_beyond(rates, covered, prompt_tokens=run.prompt_tokens, output_tokens=most)


def _spender(run: OpenRun) -> Spender:
    return Spender(run.organization_id, run.api_key_id, run.user_id, run.listing_id)


def _read_offers(wanted: set[tuple[int, int, int]], now: datetime) -> dict[tuple[int, int, int], Offer]:
    """Offers by (listing, release, organization), of those that the organization may call at this moment."""
    triples = sorted(wanted)
    month = period_starts_on(Period.MONTH, now.astimezone(UTC).date())
    rows = execute(
        OFFERS,
        settings.COMMISSION_PPM,
        array([listing_id for listing_id, _release, _owner in triples]),
        array([release_id for _listing, release_id, _owner in triples]),
        array([organization_id for _listing, _release, organization_id in triples]),
        month.isoformat(),
        text_array(CALLABLE),
    )
    allowances: dict[tuple[int, int], FreeCap] = {}  # one for all releases of a listing
    months: dict[int, IncludedCap] = {}  # likewise
    for listing_id, _release_id, owner, *_price, free, used, period_id, tokens, input_, output, _s, _c, _t in rows:
        if used < free:
            allowances[owner, listing_id] = FreeCap(owner, listing_id, month, free - used)
        if period_id is not None:
            months[period_id] = IncludedCap(period_id, tokens, input_, output)
    lineage = lineages({row[-1] for row in rows if row[-1]})
    return {
        (listing_id, release_id, owner): Offer(
            price_id,
            Rates(input_nano=i, cached_input_nano=c, output_nano=o, request_nano=q),
            allowances.get((owner, listing_id)),
            months.get(period_id, NOTHING),
            plan_of(lineage[terms_id], seller_id=seller_id, payer_id=owner, commission_ppm=ppm) if terms_id else None,
            ppm,
        )
        for listing_id, release_id, owner, price_id, i, c, o, q, _free, _used, period_id, *_left, seller_id, ppm, terms_id in rows
    }
