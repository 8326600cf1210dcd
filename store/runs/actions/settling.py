"""Many runs end in one transaction: what the worker counted is captured and shared out, the rest of the hold is void."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction

from store.keys.caps import release
from store.ledger import actions as ledger
from store.ledger.models import HoldStatus
from store.ledger.plans import read_plans
from store.ledger.pricing import NOT_COVERED, Covered, Rates, charge_beyond
from store.ledger.shares import Plan, split, transfers
from store.ledger.sql import array, bytes_array, execute, text_array
from store.runs.actions.included import give_back_included
from store.runs.books import SettledRun, SettleRun
from store.runs.models import RunStatus

logger = logging.getLogger(__name__)

LAST_USED_EVERY_S = 60  # the time of a key's last use is this coarse
SMALLINT_MAX = 32_767
FINISH_REASON_CHARS, ERROR_CODE_CHARS, WORKER_CHARS = 10, 40, 120  # as the columns of runs_run


@dataclass(frozen=True, slots=True)
class _OpenRow:
    """What the run promised when it was opened."""

    id: UUID
    rates: Rates
    included: Covered  # by the month of a subscription, at most
    organization_id: int
    wallet_id: int
    provider_id: int  # the organization that sells
    api_key_id: int | None
    budget_uses: list[int]
    prompt_tokens: int
    max_tokens: int
    commission_ppm: int
    shares_id: int | None
    held_nano: int
    free_nano: int  # of the free allowance, at most
    free_use_id: int | None
    period_id: int | None
    has_replay: bool


@dataclass(frozen=True, slots=True)
class _Ending:
    """An open run and how it ends. ``is_paid`` False: it failed or was cancelled before its first token. ``free_nano`` is not in the charge."""

    row: _OpenRow
    item: SettleRun
    output_tokens: int
    cached_tokens: int
    is_paid: bool
    charge_nano: int = 0
    free_nano: int = 0
    covered: Covered = NOT_COVERED  # of the tokens above


def settle_runs(batch: Sequence[SettleRun], *, unpaid: HoldStatus = HoldStatus.VOIDED) -> list[SettledRun]:
    """Ends each run that is still open, once: captures the charge, shares it as was agreed at its hold, releases every cap.

    A run that is not open any more, or that does not exist, moves nothing: its answer says so. A charge is never above the hold: a
    worker that claims more tokens than the run had is cut off there, and logged. ``unpaid`` is how the hold of a run ends that costs
    nothing because it failed or was cancelled before its first token.
    """
    if not batch:
        return []
    try:
        return _settle_runs(batch, unpaid=unpaid)
    except ledger.WalletMissing as missing:
        ledger.ensure_wallets(missing.organization_ids, missing.kind)
        return _settle_runs(batch, unpaid=unpaid)


@transaction.atomic(durable=True)
def _settle_runs(batch: Sequence[SettleRun], *, unpaid: HoldStatus) -> list[SettledRun]:
    items = {item.run_id: item for item in reversed(batch)}  # of two endings of one run the first counts
    ledger.lock_wallets_of(items)  # a hold has its run's id
    open_rows, charges = _read(list(items))
    endings = [_ending(row, items[row.id]) for row in open_rows]
    if endings:
        _resolve(endings, unpaid=unpaid)
        _write(endings)
        _release_keys(endings)
        _release_budgets(endings)
        _release_allowances(endings)
        give_back_included(_uncovered(ending) for ending in endings if ending.row.period_id is not None)
        _keep_answers(endings)
        _share(endings)
    charges |= {ending.row.id: ending.charge_nano for ending in endings}
    settled_now = {ending.row.id for ending in endings}
    answers = []
    for item in batch:
        now = item.run_id in settled_now
        settled_now.discard(item.run_id)
        answers.append(SettledRun(run_id=item.run_id, charge_nano=charges.get(item.run_id, 0), now=now))
    return answers


ROWS = """
SELECT r.id, r.status, r.charge_nano, r.included_input, r.included_output, r.organization_id, h.wallet_id, l.organization_id, r.api_key_id, r.budget_uses,
       r.prompt_tokens, r.max_tokens, r.commission_ppm, r.shares_id, h.amount_nano, r.free_nano, r.free_use_id,
       r.period_id, EXISTS (SELECT FROM runs_replay WHERE run_id = r.id),
       p.input_nano, p.cached_input_nano, p.output_nano, p.request_nano
FROM runs_run r JOIN ledger_hold h ON h.id = r.hold_id JOIN catalog_price p ON p.id = r.price_id
JOIN catalog_listing l ON l.id = r.listing_id
WHERE r.id = ANY(%s::uuid[])
"""


def _read(run_ids: Sequence[UUID]) -> tuple[list[_OpenRow], dict[UUID, int]]:
    """The open runs, and the charges of those that were settled before. Under the lock, so that none can be settled meanwhile."""
    open_rows: list[_OpenRow] = []
    charges: dict[UUID, int] = {}
    for run_id, status, charged, of_prompt, of_output, *values, i, c, o, q in execute(
        ROWS, array(run_ids), plan_anew=True
    ):
        if status == RunStatus.OPEN:
            rates = Rates(input_nano=i, cached_input_nano=c, output_nano=o, request_nano=q)
            included = Covered(input=of_prompt, output=of_output)
            open_rows.append(_OpenRow(run_id, rates, included, *values))
        else:
            charges[run_id] = charged
    return open_rows, charges


def _ending(row: _OpenRow, item: SettleRun) -> _Ending:
    """Raises ValueError on an ending that is none: it fails alone (see ``group_commit``)."""
    if item.status == RunStatus.OPEN or item.output_tokens < 0 or item.cached_tokens < 0:
        raise ValueError(f"run {item.run_id} cannot end as {item.status} with {item.output_tokens} tokens")
    if item.output_tokens > row.max_tokens:
        logger.error(
            "run %s: worker %s claims %d tokens of %d", row.id, item.worker, item.output_tokens, row.max_tokens
        )
    output_tokens = min(item.output_tokens, row.max_tokens)
    cached_tokens = min(item.cached_tokens, row.prompt_tokens)
    if item.status != RunStatus.SUCCEEDED and output_tokens == 0:
        return _Ending(row, item, 0, cached_tokens, False)
    covered = Covered(input=row.included.input, output=min(row.included.output, output_tokens))
    cost = charge_beyond(
        row.rates, covered, prompt_tokens=row.prompt_tokens, output_tokens=output_tokens, cached_tokens=cached_tokens
    )
    free = min(row.free_nano, cost)
    return _Ending(row, item, output_tokens, cached_tokens, True, cost - free, free, covered)


def _uncovered(ending: _Ending) -> tuple[int, Covered]:
    """What the run did not need of its subscription's month."""
    assert ending.row.period_id is not None
    row, covered = ending.row, ending.covered
    unneeded = Covered(input=row.included.input - covered.input, output=row.included.output - covered.output)
    return ending.row.period_id, unneeded


def _resolve(endings: Sequence[_Ending], *, unpaid: HoldStatus) -> None:
    ledger.resolve_holds(
        [
            ledger.Resolution(
                hold_id=ending.row.id,
                status=HoldStatus.CAPTURED if ending.is_paid else unpaid,
                captured_nano=ending.charge_nano,
            )
            for ending in endings
        ]
    )


def _write(endings: Sequence[_Ending]) -> None:
    """Moves the runs away from OPEN.

    ``coalesce`` hides the index of open runs, of which the server, whose statistics know few, believes that it is the shorter way.
    """
    items, run_ids = [ending.item for ending in endings], [ending.row.id for ending in endings]
    execute(
        """UPDATE runs_run r SET status = e.status, output_tokens = e.output_tokens, cached_tokens = e.cached_tokens,
                  charge_nano = e.charge_nano, free_nano = e.free_nano, included_input = e.included_input,
                  included_output = e.included_output, finish_reason = e.finish_reason, error_code = e.error_code,
                  attempts = e.attempts, worker = e.worker, first_token_ms = e.first_token_ms, settled_at = now()
           FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::int[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::int[],
                       %s::text[], %s::int[], %s::int[], %s::int[])
             AS e(id, status, output_tokens, cached_tokens, charge_nano, free_nano, finish_reason, error_code, attempts, worker,
                  first_token_ms, included_input, included_output)
           WHERE r.id = e.id AND coalesce(r.status = 'open', false) AND r.id = ANY(%s::uuid[])""",
        array(run_ids),
        text_array([item.status for item in items]),
        array([ending.output_tokens for ending in endings]),
        array([ending.cached_tokens for ending in endings]),
        array([ending.charge_nano for ending in endings]),
        array([ending.free_nano for ending in endings]),
        text_array([_fitting(item.finish_reason, FINISH_REASON_CHARS) for item in items]),
        text_array([_fitting(item.error_code, ERROR_CODE_CHARS) for item in items]),
        array([min(item.attempts, SMALLINT_MAX) for item in items]),
        text_array([_fitting(item.worker, WORKER_CHARS) for item in items]),
        array([item.first_token_ms for item in items]),
        array([ending.covered.input for ending in endings]),
        array([ending.covered.output for ending in endings]),
        array(run_ids),
        plan_anew=True,  # the ids are given twice: what is only joined prunes nothing
    )


def _fitting(text: str, chars: int) -> str:
    """What a worker says about a run must not keep it from being settled."""
    return text.replace("\0", "")[:chars]


def _release_keys(endings: Sequence[_Ending]) -> None:
    ended = Counter(ending.row.api_key_id for ending in endings if ending.row.api_key_id is not None)
    if ended:
        execute(
            """WITH e AS (SELECT * FROM unnest(%s::bigint[], %s::int[]) AS e(id, runs)), used AS (
                   UPDATE keys_apikey k SET last_used_at = now() FROM e WHERE k.id = e.id
                   AND (k.last_used_at IS NULL OR k.last_used_at < now() - make_interval(secs => %s)))
               UPDATE keys_keyuse u SET open_runs = u.open_runs - e.runs FROM e WHERE u.api_key_id = e.id""",
            array(ended),
            array(ended.values()),
            LAST_USED_EVERY_S,
        )


def _release_budgets(endings: Sequence[_Ending]) -> None:
    released: Counter[int] = Counter()
    for ending in endings:
        for use_id in ending.row.budget_uses:
            released[use_id] += ending.row.held_nano - ending.charge_nano
    release(released)


def _release_allowances(endings: Sequence[_Ending]) -> None:
    """What a run did not need of the free allowance is there for the next one."""
    released: Counter[int] = Counter()
    for ending in endings:
        if ending.row.free_use_id is not None:
            released[ending.row.free_use_id] += ending.row.free_nano - ending.free_nano
    if released:
        execute(
            """UPDATE runs_freeuse u SET used_nano = u.used_nano - e.nano
               FROM unnest(%s::bigint[], %s::bigint[]) AS e(id, nano) WHERE u.id = e.id""",
            array(released),
            array(released.values()),
        )


def _keep_answers(endings: Sequence[_Ending]) -> None:
    """The answers of runs that came with an Idempotency-Key. Where there is none, the key is free again."""
    replayed = {ending.row.id for ending in endings if ending.row.has_replay}
    kept = {
        ending.row.id: ending.item.replay_chunks
        for ending in endings
        if ending.row.has_replay and ending.is_paid and ending.item.replay_chunks is not None
    }
    if kept:
        execute(
            """UPDATE runs_replay p SET chunks = e.chunks FROM unnest(%s::uuid[], %s::bytea[]) AS e(run_id, chunks)
               WHERE p.run_id = e.run_id""",
            array(kept),
            bytes_array(kept.values()),
        )
    if replayed - kept.keys():
        execute("DELETE FROM runs_replay WHERE run_id = ANY(%s::uuid[])", array(replayed - kept.keys()))


def _share(endings: Sequence[_Ending]) -> None:
    """Consumer to provider, platform and those whose models it was made from. Last, for these wallets are everybody's: see ``ledger.actions``."""
    charged = [ending for ending in endings if ending.charge_nano]
    if not charged:
        return
    plans = _plans([ending.row for ending in charged])
    earnings, platform_id = ledger.sinks(set().union(*(plan.earners for plan in plans.values())))
    moved: list[ledger.NewTransfer] = []
    for ending in charged:
        moved += transfers(
            split(ending.charge_nano, plans[_plan_key(ending.row)]),
            prefix=f"run:{ending.row.id}",
            debit_id=ending.row.wallet_id,
            earnings=earnings,
            platform_id=platform_id,
        )
    if len(ledger.transfer_all(moved)) != len(moved):
        raise IntegrityError("a run that was open has transfers already")


_PlanKey = tuple[int | None, int, int]


def _plan_key(row: _OpenRow) -> _PlanKey:
    return row.shares_id, row.provider_id, row.commission_ppm


def _plans(rows: Sequence[_OpenRow]) -> dict[_PlanKey, Plan]:
    """How the charges of these runs are shared. Many runs have the same plan, and most have none but provider and platform."""
    kept_ids = {row.shares_id for row in rows if row.shares_id is not None}
    kept = read_plans(kept_ids) if kept_ids else {}
    return {
        (shares_id, provider_id, commission_ppm): Plan(commission_ppm=commission_ppm, rest_id=provider_id)
        if shares_id is None
        else kept[shares_id]
        for shares_id, provider_id, commission_ppm in set(map(_plan_key, rows))
    }
