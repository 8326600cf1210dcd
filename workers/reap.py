"""What is done every few seconds for runs that nobody looks after."""

from __future__ import annotations

from celery import shared_task

from store.runs.actions import expire_holds
from store.runs.orphans import settle_orphans


@shared_task(name="reap.orphans")
def reap_orphans() -> None:
    """Settles what dead gateways left behind."""
    settle_orphans()


@shared_task(name="reap.holds")
def reap_holds() -> None:
    """Ends runs that outlived their hold."""
    while expire_holds():
        pass
