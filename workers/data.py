"""Files of training data are read, and their tokens counted: see ``store.tuning.actions``."""

from __future__ import annotations

from celery import shared_task

from store.outbox import send_after_commit
from store.tuning.actions.files import delete_expired, due_files, run_reading
from store.tuning.actions.tallies import due_tallies, run_tally
from workers.slots import reading_work


@shared_task(name="data.read")
def read_file(file_id: int) -> None:
    """Reads one file, if its time has come."""
    with reading_work() as has_room:
        if has_room:
            run_reading(file_id)


@shared_task(name="data.tally")
def count_tokens(tally_id: int) -> None:
    """Counts one file's tokens for a base, if its time has come."""
    with reading_work() as has_room:
        if has_room:
            run_tally(tally_id)


@shared_task(name="data.due")
def send_due() -> None:
    """Sends again what was lost, found no room, or died with its worker."""
    for file_id in due_files():
        send_after_commit("data.read", file_id)
    for tally_id in due_tallies():
        send_after_commit("data.tally", tally_id)


@shared_task(name="data.expire")
def delete_expired_files() -> None:
    """Files whose time is over go."""
    delete_expired()
