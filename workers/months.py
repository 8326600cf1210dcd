"""Coming months of runs are made before they begin."""

from __future__ import annotations

from celery import shared_task

from store.runs.actions import make_months


@shared_task(name="runs.months")
def make_coming_months() -> None:
    """Makes the months that are missing. One that could not be made, because others used the table, is made the next night."""
    make_months()
