"""What keeps search, rankings and public figures fresh."""

from __future__ import annotations

import logging

from celery import shared_task

from store.discovery.actions import refresh, refresh_stale
from store.discovery.tiers import retier
from store.reputation.rollup import roll_up, roll_up_again
from store.reputation.trending import update_trending

logger = logging.getLogger(__name__)


@shared_task(name="discovery.refresh")
def refresh_listing(listing_id: int) -> None:
    """Makes one listing's row in the index again."""
    refresh([listing_id])


@shared_task(name="discovery.refresh_stale")
def refresh_what_changed() -> None:
    """Makes good what no search has made good before, and prices that have started."""
    if done := refresh_stale():
        logger.info("%d listings were indexed again", done)


@shared_task(name="discovery.retier")
def draw_tiers() -> None:
    """Looks whether the tiers of the index still fit."""
    if drawn := retier():
        logger.info("%d tiers of the index were drawn", drawn)


@shared_task(name="reputation.roll_up")
def count_recent_hours() -> None:
    """Counts the runs of the running hour and of the one before."""
    roll_up()


@shared_task(name="reputation.roll_up_again")
def count_recent_days() -> None:
    """Counts the runs of the last two days anew."""
    roll_up_again()


@shared_task(name="reputation.trending")
def rank_by_use() -> None:
    """Writes what use says of each listing."""
    update_trending()
