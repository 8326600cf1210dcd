"""Numbers of a release, found by a worker of the store."""

from __future__ import annotations

import logging
import math
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from inference.wire import MeasurementReport
from store.catalog import leases
from store.catalog.actions.moves import Transitions, move
from store.catalog.models import Listing, Measurement, MeasurementStatus, Release
from store.outbox import send_after_commit

MAX_ATTEMPTS = 3
QUEUED_S = 1800.0  # it may wait this long for a worker
SILENT_S = 300.0  # a worker that has begun says how far it is more often than this
STALE_DAYS = 30  # a public release is measured again after this

S = MeasurementStatus
UNDER_WAY = (S.QUEUED, S.RUNNING)
TRANSITIONS: Transitions = {
    S.QUEUED: (S.QUEUED, S.RUNNING, S.DONE, S.FAILED),
    S.RUNNING: (S.QUEUED, S.RUNNING, S.DONE, S.FAILED),
}
NUMBERS = (
    "perplexity", "held_out_perplexity", "ttft_ms", "tokens_per_s_1", "tokens_per_s_8", "tokens_per_s_32", "memory_bytes",
)  # fmt: skip
FOUND = ("hardware", "software", "reference", *NUMBERS, "sample")

logger = logging.getLogger(__name__)


@transaction.atomic
def measure_release(release: Release, *, due_at: datetime | None = None) -> Measurement:
    """Queues a measurement; the one that is under way, where there is one. ``due_at``: not before."""
    Listing.objects.select_for_update(of=("self",), no_key=True).only("pk").get(pk=release.listing_id)
    under_way = release.measurements.filter(status__in=UNDER_WAY).first()
    if under_way:
        return under_way
    measurement = Measurement.objects.create(release=release, due_at=due_at or timezone.now())
    if due_at is None:
        send_after_commit("measure.release", measurement.pk)
    return measurement


def copy_measurement(source: Measurement, release: Release) -> Measurement:
    """What was measured of another release is true of this one too."""
    numbers = {name: getattr(source, name) for name in (*FOUND, "measured_at", "progress")}
    return Measurement.objects.create(release=release, status=S.DONE, **numbers)


def newest_of(release: Release) -> Measurement | None:
    """The numbers that are shown."""
    return release.measurements.filter(status=S.DONE).order_by("-id").first()


@transaction.atomic
def begin_attempt(measurement_id: int) -> Measurement | None:
    """Takes what is due in hand, to be sent to a worker; None where it is not due. FAILED where it was sent often enough."""
    due = Measurement.objects.filter(pk=measurement_id, status__in=UNDER_WAY, due_at__lte=Now())
    spent = due.filter(attempts__gte=MAX_ATTEMPTS).select_for_update().first()
    if spent:
        words = _("No worker could measure it in %(count)d attempts. Submit it again later.")
        move(spent, S.FAILED, TRANSITIONS, error=words % {"count": spent.attempts})
        return spent
    if not leases.take(due, lease_s=QUEUED_S, status=S.QUEUED, progress=0, step=""):
        return None
    return Measurement.objects.select_related("release__listing__organization", "release__base").get(pk=measurement_id)


@transaction.atomic
def take_report(*, measurement_id: int, attempt: int, report: MeasurementReport) -> Measurement | None:
    """Writes down what a worker says. The measurement where it has ended by this; only the newest attempt is heard."""
    newest = Measurement.objects.select_for_update().filter(pk=measurement_id, attempts=attempt)
    measurement = newest.filter(status__in=UNDER_WAY).first()
    if measurement is None:
        logger.info("measurement %s: attempt %s is not heard any more", measurement_id, attempt)
        return None
    if report.status == "running":
        soon = timezone.now() + timedelta(seconds=SILENT_S)
        how_far = {"progress": min(1.0, max(0.0, report.progress)), "step": report.step[:60], "due_at": soon}
        move(measurement, S.RUNNING, TRANSITIONS, **how_far)
        return None
    if report.status == "failed" and measurement.attempts < MAX_ATTEMPTS:
        move(measurement, S.QUEUED, TRANSITIONS, due_at=timezone.now(), error=report.error)
        return None
    if report.status == "done":
        found = {name: _fitting(name, getattr(report, name)) for name in FOUND}
        move(measurement, S.DONE, TRANSITIONS, **found, progress=1, error="", measured_at=timezone.now())
    else:
        move(measurement, S.FAILED, TRANSITIONS, error=report.error)
    return measurement


def _fitting(name: str, value: Any) -> Any:
    """A number that is none is not known; a text is as long as its column, and without what a database does not keep."""
    if isinstance(value, str):
        return value.replace("\0", "")[: getattr(Measurement._meta.get_field(name), "max_length", None)]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def due_measurements() -> list[int]:
    """Ids of those to be sent, for the first time or again."""
    due = Measurement.objects.filter(status__in=UNDER_WAY, due_at__lte=Now())
    return list(due.order_by("due_at").values_list("pk", flat=True)[:100])


def measure_oldest(count: int) -> int:
    """Queues measurements of the public releases that were measured longest ago, those never measured first. Returns how many."""
    old = timezone.now() - timedelta(days=STALE_DAYS)
    own = Measurement.objects.filter(release=OuterRef("pk"))
    newest = own.filter(status=S.DONE).order_by("-measured_at").values("measured_at")[:1]
    current = Release.objects.filter(
        ~Exists(own.filter(status__in=UNDER_WAY)), pk__in=Listing.objects.public().values("current_release")
    )
    stale = current.annotate(newest=Subquery(newest)).filter(Q(newest=None) | Q(newest__lt=old))
    releases = list(stale.order_by(F("newest").asc(nulls_first=True), "pk")[:count])
    for release in releases:
        measure_release(release)
    return len(releases)
