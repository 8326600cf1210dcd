"""What those who pay for a job can do with it: ask for it, pause it, go on, and stop it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import User
from store.catalog.royalties import plan_for
from store.errors import StoreError
from store.keys.caps import BudgetCap, BudgetExceeded, Spender, read_caps, write_refusals, write_use
from store.keys.models import ApiKey
from store.ledger import actions as ledger
from store.ledger.dollars import dollars
from store.ledger.errors import InsufficientCredit, SpendingFrozen
from store.ledger.freezing import spending_frozen
from store.ledger.models import WalletKind
from store.ledger.plans import keep_plans
from store.outbox import send_after_commit
from store.runs.books import ReplayKey, ReplayMismatch
from store.tuning import names
from store.tuning.actions.moves import check_tuner, locked, move, note
from store.tuning.actions.quoting import Quote, quote_job
from store.tuning.actions.settling import end_job, fail_job
from store.tuning.errors import TooManyJobs
from store.tuning.models import OPEN_JOB, Adaptation, JobStatus, TuneJob, TuneMethod, Wanted
from store.tuning.models.jobs import new_job_id
from store.tuning.wishes import Wish

MAX_OPEN = 100  # jobs of an organization


def create_job(*, wish: Wish, user: User, api_key: ApiKey | None = None, replay: ReplayKey | None = None) -> TuneJob:
    """Writes a training down, and holds the most that it may cost: at once where its tokens are counted, else as soon as they are.

    With ``api_key`` its organization asks, and ``user`` is who made the key. The same ``replay`` again is the same job, and is held for
    once. Raises InvalidRequest naming the field, BaseRefused, DataRefused, JobNotFound, MayNotTune, TooManyJobs, InsufficientCredit,
    SpendingFrozen, BudgetExceeded, ReplayMismatch: then nothing was made.
    """
    if api_key is None:
        check_tuner(wish.organization, user)
    ledger.wallet_of(wish.organization.pk, WalletKind.CREDIT)
    try:
        return _create(wish, user, api_key, replay)
    except BudgetExceeded as error:
        _note_refusal(wish.organization.pk, error)
        raise


@transaction.atomic
def _create(wish: Wish, user: User, api_key: ApiKey | None, replay: ReplayKey | None) -> TuneJob:
    purse = ledger.lock_credit([wish.organization.pk])[wish.organization.pk]
    if replay and (known := _replayed(wish, replay)):
        return known
    own = TuneJob.objects.filter(organization=wish.organization)
    if own.filter(status__in=OPEN_JOB).count() >= MAX_OPEN:
        raise TooManyJobs(_("An organization has %d jobs open at most: wait for some to end.") % MAX_OPEN)
    quote = quote_job(wish)
    job = _write(wish, quote, user=user, api_key=api_key, replay=replay)
    note(job, "The job was created.")
    if quote.is_counted:
        _hold(job, quote, purse)
    else:
        note(job, "The tokens of the training file are being counted.")
        send_after_commit("tuning.validate", job.pk)
    return job


@transaction.atomic
def _note_refusal(organization_id: int, error: BudgetExceeded) -> None:
    """In a transaction of its own: that of the job was undone."""
    ledger.lock_credit([organization_id])
    write_refusals([error.cap])


def _replayed(wish: Wish, replay: ReplayKey) -> TuneJob | None:
    """Under the lock of the wallet, so that of two requests at once the second finds the first."""
    known = TuneJob.objects.filter(organization=wish.organization, replay_key=replay.key).first()
    if known and bytes(known.replay_sha256 or b"") != replay.body_sha256:
        raise ReplayMismatch
    return known


def _write(
    wish: Wish, quote: Quote, *, user: User, api_key: ApiKey | None, replay: ReplayKey | None
) -> TuneJob:  # fmt: skip
    public_id = new_job_id()
    name = names.model_name(
        base=wish.base, organization=wish.organization, suffix=wish.suffix, job_id=public_id
    )  # fmt: skip
    return TuneJob.objects.create(
        public_id=public_id, organization=wish.organization, created_by=user, api_key=api_key, model_name=name,
        base=wish.base.current_release if wish.base else None, method=wish.method, adaptation=wish.adaptation,
        asked=dict(wish.hyper), shape=dict(wish.shape), training_file=wish.training_file, validation_file=wish.validation_file,
        sample_prompts=list(wish.sample_prompts), suffix=wish.suffix, metadata=dict(wish.metadata),
        price_id=quote.price_id, price_nano=quote.price_nano, commission_ppm=quote.commission_ppm,
        replay_key=replay.key if replay else "", replay_sha256=replay.body_sha256 if replay else None,
    )  # fmt: skip


def _hold(job: TuneJob, quote: Quote, purse: ledger.Purse) -> None:
    """Sets the most that it may cost aside, and puts it in line. Inside the lock of the wallet. Raises InsufficientCredit, SpendingFrozen, BudgetExceeded."""
    if spending_frozen([job.organization_id]):
        raise SpendingFrozen
    if quote.amount_nano > purse.available_nano:
        words = _("This training may cost %(most)s, and the balance has %(left)s. Add credit to go on.")
        raise InsufficientCredit(words % {"most": dollars(quote.amount_nano), "left": dollars(purse.available_nano)})
    assert quote.hyper
    caps = _take_budgets(job, quote.amount_nano)
    until = timezone.now() + timedelta(seconds=settings.TUNE_DEADLINE_S)
    hold = ledger.NewHold(id=uuid4(), wallet_id=purse.wallet_id, amount_nano=quote.amount_nano, expires_at=until)
    ledger.place_holds([hold])
    shape = asdict(quote.shape) if quote.shape else job.shape
    move(
        job, JobStatus.QUEUED, hold_id=hold.id, shares_id=_shares(job), quote_tokens=quote.tokens, hyper=asdict(quote.hyper),
        shape=shape, steps=quote.steps, budget_uses=[cap.use_id for cap in caps],
    )  # fmt: skip
    note(
        job,
        f"The job is queued: up to {quote.tokens} tokens are trained, for which {dollars(quote.amount_nano)} are held.",
    )
    send_after_commit("tuning.dispatch")


def _take_budgets(job: TuneJob, amount_nano: int) -> list[BudgetCap]:
    """Takes it of all budgets that bind the job at once. Raises BudgetExceeded: then nothing was taken."""
    listing_id = job.base.listing_id if job.base else None
    spender = Spender(job.organization_id, job.api_key_id, job.created_by_id, listing_id)
    caps = read_caps([spender], now=timezone.now()).budgets[spender]
    for cap in caps:
        if cap.is_hard and cap.left_nano < amount_nano:
            raise BudgetExceeded(cap)
    for cap in caps:
        cap.take(amount_nano)
    write_use(caps)
    return caps


def _shares(job: TuneJob) -> int | None:
    """The row of the plan by which the charge will be shared; None where there is nobody but the base's provider and the platform."""
    if job.base is None:
        return None
    plan = plan_for(
        listing=job.base.listing, payer=job.organization, release=job.base, commission_ppm=job.commission_ppm
    )
    return None if plan.is_plain else keep_plans([plan])[plan]


@transaction.atomic
def validate_job(job_id: int) -> None:
    """Goes on with a job whose tokens were being counted: it is queued, or has failed, or is still to wait. Twice is once."""
    job = locked(job_id)
    if job.status != JobStatus.VALIDATING:
        return
    job = TuneJob.objects.full().get(pk=job.pk)
    purse = ledger.lock_credit([job.organization_id])[job.organization_id]
    try:
        with transaction.atomic():
            quote = quote_job(wish_of(job))
            if quote.is_counted:
                # The base may have a newer release since, another price or commission: what was counted is what is trained and paid.
                now = {
                    "base_id": quote.release_id, "price_id": quote.price_id, "price_nano": quote.price_nano,
                    "commission_ppm": quote.commission_ppm,
                }  # fmt: skip
                TuneJob.objects.filter(pk=job.pk).update(**now)
                job.refresh_from_db()
                _hold(job, quote, purse)
    except StoreError as error:
        if isinstance(error, BudgetExceeded):
            write_refusals([error.cap])
        fail_job(job, code=error.code, message=error.message, param=error.param or "")


def wish_of(job: TuneJob) -> Wish:
    """What was asked for."""
    return Wish(
        organization=job.organization, training_file=job.training_file, base=job.base_listing, validation_file=job.validation_file,
        method=TuneMethod(job.method), adaptation=Adaptation(job.adaptation), hyper=job.asked, shape=job.shape, sample_prompts=tuple(job.sample_prompts),
        suffix=job.suffix, metadata=job.metadata,
    )  # fmt: skip


@transaction.atomic
def cancel_job(*, job: TuneJob, user: User | None = None) -> TuneJob:
    """Ends the job at once: what was trained is charged, its checkpoints stay. Cancelling again changes nothing.

    A worker that has it in hand hears of it, and is not listened to any more but for a last checkpoint. Raises JobNotFound,
    MayNotTune, NotInThisState (it has ended in another way).
    """
    row = locked(job.pk, user=user)
    if row.status != JobStatus.CANCELLED:
        end_job(row, JobStatus.CANCELLED, paid_tokens=row.trained_tokens)
    return row


@transaction.atomic
def pause_job(*, job: TuneJob, user: User | None = None) -> TuneJob:
    """Stops the training at a checkpoint, to go on later; what is held stays held. Pausing again changes nothing.

    Raises JobNotFound, MayNotTune, NotInThisState.
    """
    row = locked(job.pk, user=user, with_wallet=False)
    if row.status != JobStatus.PAUSED:
        move(row, JobStatus.PAUSED, wanted=Wanted.PAUSE, eta_at=None)
        note(row, "The job is paused.")
        send_after_commit("tuning.control", row.pk)
    return row


@transaction.atomic
def resume_job(*, job: TuneJob, user: User | None = None) -> TuneJob:
    """Puts a paused job in line again: it goes on at its newest checkpoint. Resuming again changes nothing.

    Raises JobNotFound, MayNotTune, NotInThisState.
    """
    row = locked(job.pk, user=user, with_wallet=False)
    if row.status not in (JobStatus.QUEUED, JobStatus.RUNNING):
        move(row, JobStatus.QUEUED, wanted=Wanted.RUN, fruitless=0)
        note(row, "The job goes on: it is queued.")
        send_after_commit("tuning.dispatch")
    return row
