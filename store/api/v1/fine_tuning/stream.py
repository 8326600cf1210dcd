"""A job's events as they happen: server-sent events, from the first one or from the one after ``after``, until the job has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from store.api.v1.answering import DONE, event
from store.api.v1.fine_tuning.shapes import shown_event
from store.runs.database_thread import query
from store.tuning.models import TuneEvent, TuneJob

POLL_S = 0.5
KEEPALIVE_S = 15.0
BATCH = 500


async def events_of(job: TuneJob, *, after: int) -> AsyncIterator[bytes]:
    """Events of which the row's id is above ``after``."""
    silent_s = 0.0
    while True:
        # Whether it has ended is asked first: what was written before that is read below.
        is_open = await query(_is_open, job)
        rows = await query(_after, job, after)
        for row in rows:
            after = row.pk
            yield event(shown_event(row))
        if len(rows) == BATCH:
            continue
        if not is_open:
            yield DONE
            return
        silent_s = 0.0 if rows else silent_s + POLL_S
        if silent_s >= KEEPALIVE_S:
            silent_s = 0.0
            yield b": waiting\n\n"
        await asyncio.sleep(POLL_S)


def _is_open(job: TuneJob) -> bool:
    return TuneJob.objects.get(pk=job.pk).is_open


def _after(job: TuneJob, after: int) -> list[TuneEvent]:
    return list(job.events.filter(pk__gt=after).order_by("pk")[:BATCH])
