"""A job ends, once: what was trained is captured and shared out, the rest of what was held is free again."""

from __future__ import annotations

import logging
from typing import Any

from django.db import IntegrityError
from django.utils import timezone

from store.keys.caps import release
from store.ledger import actions as ledger
from store.ledger.models import HoldStatus, TransferKind
from store.ledger.plans import read_plans
from store.ledger.pricing import training_charge
from store.ledger.shares import Plan, Share, split, transfers
from store.outbox import send_after_commit
from store.tuning.actions.moves import move
from store.tuning.actions.telling import tell_end
from store.tuning.models import ENDED_JOB, JobStatus, TuneCheckpointFile, TuneJob, Wanted

PAID_FAILURES = (
    "diverged",
    "expired",
    "file_deleted",
)  # error codes: by the customer's own choices, not a failure of ours

logger = logging.getLogger(__name__)


def end_job(
    job: TuneJob, status: JobStatus, *, paid_tokens: int, unpaid: HoldStatus = HoldStatus.VOIDED, **fields: Any
) -> None:
    """Ends a job whose organization's wallet and row the transaction has locked (``moves.locked``).

    ``paid_tokens`` are charged, at most what is held; ``unpaid`` is how a hold ends of which nothing is charged. Raises ValueError on a
    status that is no end, NotInThisState where the job has ended already.
    """
    if status not in ENDED_JOB:
        raise ValueError(f"a job does not end as {status}")
    if paid_tokens > job.quote_tokens:
        logger.error("%s: %d tokens were trained, and %d are held", job, paid_tokens, job.quote_tokens)
    tokens = max(0, min(paid_tokens, job.quote_tokens))
    charge = training_charge(job.price_nano, tokens)
    if job.hold_id:
        _capture(job, charge, unpaid)
    wanted = Wanted.RUN if status == JobStatus.SUCCEEDED else Wanted.CANCEL
    move(
        job, status, charged_tokens=tokens, charge_nano=charge, finished_at=timezone.now(), eta_at=None, stage="", wanted=wanted, **fields,
    )  # fmt: skip
    TuneCheckpointFile.objects.filter(checkpoint__job=job, is_model=False).delete()  # nobody goes on from here
    tell_end(job)
    if job.lease_until is not None:  # whoever has it in hand keeps the place until it says that it has stopped
        send_after_commit("tuning.control", job.pk)


def fail_job(job: TuneJob, *, code: str, message: str, param: str = "") -> None:
    """Ends it as failed. It costs something only where it failed by the customer's own choices: then what the newest checkpoint holds."""
    newest = job.checkpoints.order_by("-step").first() if code in PAID_FAILURES else None
    unpaid = HoldStatus.EXPIRED if code == "expired" else HoldStatus.VOIDED
    end_job(
        job, JobStatus.FAILED, paid_tokens=newest.trained_tokens if newest else 0, unpaid=unpaid,
        error_code=code, error_message=message, error_param=param,
    )  # fmt: skip


def _capture(job: TuneJob, charge_nano: int, unpaid: HoldStatus) -> None:
    """Consumer to provider, platform and those whose models the base was made from."""
    assert job.hold
    status = HoldStatus.CAPTURED if charge_nano else unpaid
    ledger.resolve_holds([ledger.Resolution(hold_id=job.hold.pk, status=status, captured_nano=charge_nano)])
    release(dict.fromkeys(job.budget_uses, job.hold.amount_nano - charge_nano))
    if not charge_nano:
        return
    plan = plan_of_job(job)
    earnings, platform_id = _sinks(plan.earners if plan else set())
    shares = split(charge_nano, plan) if plan else [Share(TransferKind.COMMISSION, None, charge_nano)]
    moved = transfers(
        shares, prefix=f"tune:{job.hold.pk}", debit_id=job.hold.wallet_id, earnings=earnings, platform_id=platform_id
    )
    if len(ledger.transfer_all(moved)) != len(moved):
        raise IntegrityError("a job that was open has transfers already")


def plan_of_job(job: TuneJob) -> Plan | None:
    """How its charge is shared, as it was when it was held; None for a model from scratch, which is the store's own offer."""
    if job.shares_id is not None:
        return read_plans([job.shares_id])[job.shares_id]
    base = job.base_listing
    return Plan(commission_ppm=job.commission_ppm, rest_id=base.organization_id) if base else None


def _sinks(owners: set[int]) -> tuple[dict[int, int], int]:
    try:
        return ledger.sinks(owners)
    except ledger.WalletMissing as missing:
        ledger.ensure_wallets(missing.organization_ids, missing.kind)
        return ledger.sinks(owners)
