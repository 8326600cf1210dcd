"""The states of a job, and who is told of them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from store.accounts.models import Organization, User
from store.catalog.actions.moves import Transitions
from store.catalog.actions.moves import move as _move
from store.catalog.actions.permission import PUBLISHING_ROLES
from store.ledger import actions as ledger
from store.ledger.models import WalletKind
from store.tuning.errors import JobNotFound, MayNotTune
from store.tuning.models import EventLevel, EventType, JobStatus, TuneEvent, TuneJob

S = JobStatus
TRANSITIONS: Transitions = {
    S.VALIDATING: (S.QUEUED, S.FAILED, S.CANCELLED),
    S.QUEUED: (S.QUEUED, S.RUNNING, S.PAUSED, S.SUCCEEDED, S.FAILED, S.CANCELLED),  # to itself: another attempt
    S.RUNNING: (S.RUNNING, S.QUEUED, S.PAUSED, S.SUCCEEDED, S.FAILED, S.CANCELLED),  # to itself: another report
    S.PAUSED: (
        S.PAUSED,
        S.QUEUED,
        S.SUCCEEDED,
        S.FAILED,
        S.CANCELLED,
    ),  # it may be done before it hears that it should pause
}


def move(job: TuneJob, to: JobStatus, **fields: Any) -> None:
    """Raises NotInThisState."""
    _move(job, to, TRANSITIONS, **fields)


def note(
    job: TuneJob, message: str, *, level: EventLevel = EventLevel.INFO, data: dict[str, Any] | None = None
) -> None:
    """A line of the job's log. With ``data`` it is one of numbers."""
    kind = EventType.METRICS if data else EventType.MESSAGE
    TuneEvent.objects.create(job=job, level=level, type=kind, message=message, data=data or {})


def locked(job_id: int, *, user: User | None = None, with_wallet: bool = True) -> TuneJob:
    """The job's row, locked until the transaction ends, as one of its organization's people may change it; ``user`` None: a key, or the store.

    With the wallet, which comes first in the order of locks, the job can be settled. Raises JobNotFound, MayNotTune.
    """
    organization = Organization.objects.filter(tune_jobs=job_id).first()
    if organization is None:
        raise JobNotFound
    if user:
        check_tuner(organization, user)
    if with_wallet:
        ledger.wallet_of(organization.pk, WalletKind.CREDIT)
        ledger.lock_credit([organization.pk])
    rows = TuneJob.objects.select_for_update(of=("self",), no_key=True).select_related("organization", "created_by")
    return rows.get(pk=job_id)


def check_tuner(organization: Organization, user: User) -> None:
    """Raises JobNotFound for strangers, MayNotTune for members whose role does not spend."""
    membership = organization.memberships.filter(user=user).first()
    if membership is None:
        raise JobNotFound
    if membership.role not in PUBLISHING_ROLES:
        raise MayNotTune(_("Your role in this organization may not start or stop trainings."))


def page_of(job: TuneJob) -> str:
    """Where a job is on the web."""
    return f"{settings.PUBLIC_URL}/tune/{job.public_id}"
