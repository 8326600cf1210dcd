"""Leases and limits of open runs: what is due for a run that has been silent or open for too long."""

from __future__ import annotations

from enum import Enum, auto

from django.conf import settings

from store.runs.streams import RunStream

SWEEP_INTERVAL_S = 0.25
DEADLINE_GRACE_S = 2.0  # the worker ends a run at its deadline; the gateway only where no worker does


class Due(Enum):
    """What has to be done for a run."""

    NOTHING = auto()
    SEND_AGAIN = auto()  # nobody has been heard of: the message may be lost, or may wait in a queue
    NEXT_ATTEMPT = auto()  # the worker fell silent
    QUEUE_LIMIT = auto()  # nobody took it in time
    DEADLINE = auto()


def what_is_due(stream: RunStream, *, now: float, heard_until: float) -> Due:
    """``now`` and ``heard_until`` are of ``time.monotonic``.

    Silence is measured on the reader's clock: while Redis is away, or this process was stopped, no worker can be heard, and none is
    taken for dead.
    """
    if now - stream.opened_at > settings.RUN_DEADLINE_S + DEADLINE_GRACE_S:
        return Due.DEADLINE
    if stream.is_abandoned:
        return Due.NOTHING  # it is being ended
    if stream.waiting_since is not None and now - stream.waiting_since > settings.QUEUE_LIMIT_S:
        return Due.QUEUE_LIMIT
    if stream.last_heard is None:
        return Due.SEND_AGAIN if heard_until - stream.sent_at > settings.START_LEASE_S else Due.NOTHING
    return Due.NEXT_ATTEMPT if heard_until - stream.last_heard > settings.RUN_LEASE_S else Due.NOTHING
