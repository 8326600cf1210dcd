"""Many requests open in one transaction: decided one after another under the locks of their organizations, written set by set."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from store.errors import StoreError
from store.keys.caps import BudgetCap, BudgetExceeded, write_refusals, write_use
from store.ledger import actions as ledger
from store.ledger.models import WalletKind
from store.ledger.plans import keep_plans
from store.ledger.pricing import NOT_COVERED
from store.ledger.sql import array, execute, text_array
from store.runs.actions.caps import Caps, FreeCap, Grant
from store.runs.actions.included import use_included
from store.runs.actions.replays import Replays
from store.runs.books import OpenAnswer, OpenedRun, OpenRun

HOLD_MARGIN_S = 60  # a hold outlives the run's deadline by this much: its gateway settles it in that time
INSERT_RUNS = """
INSERT INTO runs_run (id, hold_id, organization_id, user_id, api_key_id, listing_id, release_id, price_id, gateway_id,
                      budget_uses, free_use_id, free_nano, endpoint, request_id, is_stream, prompt_tokens, max_tokens, shares_id, commission_ppm,
                      included_input, included_output, period_id, status,
                      output_tokens, cached_tokens, charge_nano, finish_reason, error_code, attempts, worker)
SELECT id, id, organization_id, user_id, api_key_id, listing_id, release_id, price_id, gateway_id,
       budget_uses::bigint[], free_use_id, free_nano, endpoint, request_id, is_stream, prompt_tokens, max_tokens, shares_id, commission_ppm,
       included_input, included_output, period_id, 'open', 0, 0, 0, '', '', 1, ''
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::uuid[],
            %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bool[], %s::int[], %s::int[], %s::bigint[], %s::int[],
            %s::int[], %s::int[], %s::bigint[])
  AS r(id, organization_id, user_id, api_key_id, listing_id, release_id, price_id, gateway_id,
       budget_uses, free_use_id, free_nano, endpoint, request_id, is_stream, prompt_tokens, max_tokens, shares_id, commission_ppm,
       included_input, included_output, period_id)
"""


def open_runs(batch: Sequence[OpenRun], *, at: datetime | None = None) -> list[OpenAnswer]:
    """Holds the worst case of each request, and writes it down as a run; answers in the order of ``batch``.

    The answers are those of serving the requests one after another, whatever runs beside it. A request that is refused is answered with
    its error, and leaves nothing behind but the note that a budget has refused something. ``at``, now by default, decides expiry and the periods of budgets.

    Whether a transaction went through is unknown when the server is lost while it commits. Settling such a run as FAILED is always
    right: it undoes what was opened, and is nothing where nothing was.
    """
    try:
        return _open_runs(batch, at=at or timezone.now())
    except ledger.WalletMissing as missing:
        ledger.ensure_wallets(missing.organization_ids, WalletKind.CREDIT)
        return _open_runs(batch, at=at or timezone.now())


@transaction.atomic(durable=True)
def _open_runs(batch: Sequence[OpenRun], *, at: datetime) -> list[OpenAnswer]:
    caps = Caps(batch, now=at)
    replays = Replays(batch, now=at)
    answers: list[OpenAnswer] = []
    grants: list[Grant] = []
    refusing: list[BudgetCap] = []
    for run in batch:
        try:
            answer: OpenAnswer | None = replays.answer(run)
            if answer is None:
                grant = caps.take(run)
                grants.append(grant)
                replays.remember(run)
                answer = OpenedRun(run_id=run.run_id, max_tokens=grant.max_tokens, held_nano=grant.held_nano)
        except StoreError as error:
            answer = error
            if isinstance(error, BudgetExceeded):
                refusing.append(error.cap)
        answers.append(answer)
    if grants:
        _write(grants, at=at)
        _count(caps)
        replays.write()
    write_refusals(refusing)
    return answers


def _write(grants: Sequence[Grant], *, at: datetime) -> None:
    """The plans of shares, the holds, what is used of budgets and free allowances, and the runs."""
    plan_ids = keep_plans(grant.plan for grant in grants if grant.plan and not grant.plan.is_plain)
    _place_holds(grants, expires_at=at + timedelta(seconds=settings.RUN_DEADLINE_S + HOLD_MARGIN_S))
    write_use([budget for grant in grants for budget in grant.budgets])
    _use_allowances([grant.free for grant in grants if grant.free])
    subscribed = [grant for grant in grants if grant.covered != NOT_COVERED]
    use_included({grant.included.period_id: grant.included for grant in subscribed}.values())
    runs = [grant.run for grant in grants]
    execute(
        INSERT_RUNS,
        array([run.run_id for run in runs]),
        array([run.organization_id for run in runs]),
        array([run.user_id for run in runs]),
        array([run.api_key_id for run in runs]),
        array([run.listing_id for run in runs]),
        array([run.release_id for run in runs]),
        array([grant.price_id for grant in grants]),
        array([run.gateway_id for run in runs]),
        text_array([array([budget.use_id for budget in grant.budgets]) for grant in grants]),
        array([grant.free.use_id if grant.free else None for grant in grants]),
        array([grant.free_nano for grant in grants]),
        text_array([run.endpoint for run in runs]),
        text_array([run.request_id for run in runs]),
        array([run.is_stream for run in runs]),
        array([run.prompt_tokens for run in runs]),
        array([grant.max_tokens for grant in grants]),
        array([plan_ids.get(grant.plan) if grant.plan else None for grant in grants]),
        array([grant.commission_ppm for grant in grants]),
        array([grant.covered.input for grant in grants]),
        array([grant.covered.output for grant in grants]),
        array([grant.included.period_id if grant.covered != NOT_COVERED else None for grant in grants]),
    )


def _place_holds(grants: Sequence[Grant], *, expires_at: datetime) -> None:
    """The ledger's trigger takes them from the wallets."""
    ledger.place_holds(
        [
            ledger.NewHold(id=g.run.run_id, wallet_id=g.wallet_id, amount_nano=g.held_nano, expires_at=expires_at)
            for g in grants
        ]
    )


def _use_allowances(taken: list[FreeCap]) -> None:
    """Adds what this batch took of free allowances, and gives each the id of its use."""
    allowances = list({(free.organization_id, free.listing_id): free for free in taken}.values())
    if not allowances:
        return
    rows = execute(
        """INSERT INTO runs_freeuse (organization_id, listing_id, starts_on, used_nano)
           SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::date[], %s::bigint[])
           ON CONFLICT (organization_id, listing_id, starts_on)
           DO UPDATE SET used_nano = runs_freeuse.used_nano + EXCLUDED.used_nano
           RETURNING organization_id, listing_id, id""",
        array([free.organization_id for free in allowances]),
        array([free.listing_id for free in allowances]),
        array([free.starts_on for free in allowances]),
        array([free.taken_nano for free in allowances]),
    )
    use_ids = {(organization_id, listing_id): use_id for organization_id, listing_id, use_id in rows}
    for free in allowances:
        free.use_id = use_ids[free.organization_id, free.listing_id]


def _count(caps: Caps) -> None:
    opened = [(key_id, key.opened) for key_id, key in caps.keys.items() if key.opened]
    if opened:
        execute(
            """INSERT INTO keys_keyuse (api_key_id, open_runs) SELECT * FROM unnest(%s::bigint[], %s::int[])
               ON CONFLICT (api_key_id) DO UPDATE SET open_runs = keys_keyuse.open_runs + EXCLUDED.open_runs""",
            array([key_id for key_id, _opened in opened]),
            array([count for _key_id, count in opened]),
        )
