"""The books are proven, at night and whenever somebody asks: what does not match is a finding until it is gone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

import stripe
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from store.accounts.models import User
from store.backoffice.actions.permission import SEE_BOOKS, check_may
from store.backoffice.models import AuditFinding, AuditRun, AuditSource
from store.billing.comparing import compare_payments
from store.ledger.audit import Mismatch, audit
from store.ledger.sql import execute
from store.outbox import send_after_commit
from store.payouts.comparing import compare_payouts

TASK: Final = "money.prove"
LOCK: Final = 7_311_205  # of findings, among the database's advisory locks
MOST_NAMED: Final = 10_000
LOST: Final = timedelta(minutes=15)  # an audit of which nothing was heard for this long is made by another worker
CHARACTERS: Final = 300

logger = logging.getLogger(__name__)


def ask_for_proof(*, source: AuditSource, user: User | None = None) -> AuditRun:
    """Writes an audit down, and has a worker make it. ``user`` None: the clock asks. Raises PermissionDenied."""
    if user is not None:
        check_may(user, SEE_BOOKS)
    with transaction.atomic():
        run = AuditRun.objects.create(source=source, asked_by=user)
        send_after_commit(TASK, run.pk)
    return run


def due_proofs() -> list[int]:
    """Ids of audits whose message was lost, or whose worker died."""
    waiting = AuditRun.objects.filter(ended_at=None, started_at__lt=timezone.now() - LOST)
    return list(waiting.order_by("pk").values_list("pk", flat=True))


def prove(run_id: int) -> None:
    """Makes an audit that has not been made: its findings are opened, kept or resolved. Twice is once."""
    run = AuditRun.objects.filter(pk=run_id, ended_at=None).first()
    if run is None:
        return
    try:
        mismatches = COMPARE[AuditSource(run.source)]()
    except stripe.StripeError as error:
        logger.warning("audit %s could not be made: %s", run.pk, error)
        AuditRun.objects.filter(pk=run.pk).update(ended_at=Now(), error=str(error)[:CHARACTERS])
        return
    for mismatch in mismatches:
        logger.error("%s", mismatch)
    keep(run, mismatches)


def _books() -> list[Mismatch]:
    """The books against themselves."""
    return audit(MOST_NAMED)


def _stripe() -> list[Mismatch]:
    """Money in and money out, as Stripe has it."""
    return compare_payments() + compare_payouts()


COMPARE: Final[dict[AuditSource, Callable[[], list[Mismatch]]]] = {
    AuditSource.BOOKS: _books,
    AuditSource.STRIPE: _stripe,
}


@transaction.atomic
def keep(run: AuditRun, mismatches: Iterable[Mismatch]) -> None:
    """Findings follow what an audit found: one at a time, and never an older one after a newer."""
    execute("SELECT pg_advisory_xact_lock(%s)", LOCK)
    of_source = AuditRun.objects.filter(source=run.source, error="").exclude(ended_at=None)
    found = {(one.check, one.row[:CHARACTERS]): one for one in mismatches}
    if not of_source.filter(pk__gt=run.pk).exists() and not of_source.filter(pk=run.pk).exists():
        _follow(run, found)
    AuditRun.objects.filter(pk=run.pk, ended_at=None).update(ended_at=Now(), findings=len(found))


def _follow(run: AuditRun, found: dict[tuple[str, str], Mismatch]) -> None:
    opened = {
        (law, row): pk
        for pk, law, row in AuditFinding.objects.filter(source=run.source, resolved_at=None).values_list("pk", "law", "row")
    }  # fmt: skip
    AuditFinding.objects.bulk_create(
        AuditFinding(
            source=run.source, law=law, row=row, expected=one.expected, found=one.found, remedy=one.remedy, first_run=run, last_run=run,
        )
        for (law, row), one in found.items() if (law, row) not in opened
    )  # fmt: skip
    still = [pk for key, pk in opened.items() if key in found]
    AuditFinding.objects.filter(pk__in=still).update(last_run=run)
    AuditFinding.objects.filter(pk__in=set(opened.values()) - set(still)).update(resolved_at=Now())


def latest_runs() -> list[AuditRun]:
    """The newest audit of each source."""
    newest = AuditRun.objects.select_related("asked_by").order_by("source", "-pk").distinct("source")
    return list(newest)
