"""The verbs of a run: open, settle, what is done for a gateway that died, and the months that runs are kept in."""

from store.runs.actions.months import make_months
from store.runs.actions.opening import open_runs
from store.runs.actions.reaping import (
    delete_old_replays,
    expire_holds,
    find_dead_gateways,
    heartbeat_gateway,
    runs_left_by,
)
from store.runs.actions.settling import settle_runs

__all__ = [
    "delete_old_replays",
    "expire_holds",
    "find_dead_gateways",
    "heartbeat_gateway",
    "make_months",
    "open_runs",
    "runs_left_by",
    "settle_runs",
]
