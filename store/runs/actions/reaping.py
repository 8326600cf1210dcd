"""What is done for a gateway that died: it is found, and its runs are left to the reaper (``workers.reap``)."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from store.ledger.models import HoldStatus
from store.ledger.sql import execute
from store.runs.actions.replays import REPLAY_HOURS
from store.runs.actions.settling import settle_runs
from store.runs.books import SettleRun
from store.runs.models import Gateway, Replay, Run, RunStatus

logger = logging.getLogger(__name__)

SILENT_S = 15  # a gateway that has not said a word for this long is suspected
SUSPECTED_S = 10  # and dead when it is still silent after this long
STEADY_S = 120  # a gateway in touch with the database for this long has settled what it had to settle
BATCH = 256


def heartbeat_gateway(gateway_id: UUID) -> None:
    """The gateway lives. Its first word makes its row; its next takes back a suspicion."""
    execute(
        """INSERT INTO runs_gateway AS g (id) VALUES (%s)
           ON CONFLICT (id) DO UPDATE SET heartbeat_at = now(), suspected_at = NULL, steady_since =
               CASE WHEN g.heartbeat_at < now() - make_interval(secs => %s) THEN now() ELSE g.steady_since END""",
        gateway_id,
        SILENT_S,
    )


def find_dead_gateways() -> list[UUID]:
    """Ids of gateways that are dead and have runs open. Called every few seconds.

    A gateway is dead when it was silent twice, SUSPECTED_S apart. Once would not do: after the database was away, everybody's last
    word is old, the living's too.
    """
    now = timezone.now()
    silent = Gateway.objects.filter(heartbeat_at__lt=now - timedelta(seconds=SILENT_S))
    silent.filter(suspected_at=None, runs__status=RunStatus.OPEN).update(suspected_at=now)
    dead = silent.filter(suspected_at__lt=now - timedelta(seconds=SUSPECTED_S), runs__status=RunStatus.OPEN)
    return list(dead.values_list("id", flat=True).distinct())


def runs_left_by(gateway_id: UUID, *, at_most: int = BATCH) -> list[UUID]:
    """Ids of the runs that a gateway has open, oldest first."""
    return list(
        Run.objects.filter(gateway_id=gateway_id, status=RunStatus.OPEN)
        .order_by("id")
        .values_list("id", flat=True)[:at_most]
    )


def expire_holds() -> int:
    """Ends runs that outlived their hold, unpaid. Returns how many ended; called again while that is BATCH.

    The gateway of such a run lives, or it would be dead to :func:`find_dead_gateways`, and has lost it. One that only waited for the
    database to come back has its chance to settle first: it must have been in touch for STEADY_S.
    """
    now = timezone.now()
    lost = Run.objects.filter(
        status=RunStatus.OPEN,
        hold__status=HoldStatus.OPEN,
        hold__expires_at__lt=now,
        gateway__steady_since__lt=now - timedelta(seconds=STEADY_S),
        gateway__heartbeat_at__gt=now - timedelta(seconds=SILENT_S),
    )
    run_ids = list(lost.order_by("hold__expires_at").values_list("id", flat=True)[:BATCH])
    if not run_ids:
        return 0
    endings = [
        SettleRun(run_id=run_id, status=RunStatus.FAILED, output_tokens=0, error_code="expired") for run_id in run_ids
    ]
    expired = sum(settled.now for settled in settle_runs(endings, unpaid=HoldStatus.EXPIRED))
    logger.warning("expired %d runs that nobody settled", expired)
    return expired


@transaction.atomic
def delete_old_replays() -> int:
    """Forgets answers that are too old to be asked for. Skips those that an opening run has in hand. Returns how many went."""
    before = timezone.now() - timedelta(hours=REPLAY_HOURS)
    old = (
        Replay.objects.select_for_update(skip_locked=True)
        .filter(created_at__lt=before)
        .exclude(run__status=RunStatus.OPEN)
    )
    ids = list(old.order_by("created_at").values_list("id", flat=True)[: BATCH * 16])
    return Replay.objects.filter(id__in=ids).delete()[0]
