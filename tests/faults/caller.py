"""A process that opens runs as a gateway does, many at once: ``python -m tests.faults.caller``, one JSON object on standard input.

Says ``ready`` when its connection is up, waits for a line, opens ``count`` runs like ``request`` through one group commit, and says how
each was answered, by class name. Settles what it opened if it is told ``settle``; else it waits to be killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any
from uuid import UUID

import django
from uuid_utils.compat import uuid7

from store.settings import configure

configure()
django.setup()

from store.runs.actions import heartbeat_gateway, open_runs, settle_runs  # noqa: E402 - models need a Django that is set up
from store.runs.books import OpenAnswer, OpenedRun, OpenRun, SettledRun, SettleRun  # noqa: E402
from store.runs.group_commit import GroupCommit  # noqa: E402
from store.runs.models import Endpoint, RunStatus  # noqa: E402


def main() -> None:
    job = json.loads(sys.stdin.readline())
    gateway_id = UUID(job["gateway_id"])
    heartbeat_gateway(gateway_id)
    print("ready", flush=True)
    sys.stdin.readline()
    asyncio.run(call(job, gateway_id))


async def call(job: dict[str, Any], gateway_id: UUID) -> None:
    opens: GroupCommit[OpenRun, OpenAnswer] = GroupCommit(open_runs, name="opens", max_batch=job["max_batch"])
    requests = [
        OpenRun(
            **job["request"],
            run_id=uuid7(),
            gateway_id=gateway_id,
            endpoint=Endpoint.CHAT,
            request_id="req",
            is_stream=False,
            user_id=None,
        )
        for _ in range(job["count"])
    ]
    answers = await asyncio.gather(*(opens.submit(request) for request in requests), return_exceptions=True)
    print(json.dumps(Counter(type(answer).__name__ for answer in answers)), flush=True)
    if sys.stdin.readline().strip() == "settle":
        settles: GroupCommit[SettleRun, SettledRun] = GroupCommit(
            settle_runs, name="settles", max_batch=job["max_batch"]
        )
        opened = [answer.run_id for answer in answers if isinstance(answer, OpenedRun)]
        endings = [
            SettleRun(run_id=run_id, status=RunStatus.SUCCEEDED, output_tokens=job["request"]["max_tokens"])
            for run_id in opened
        ]
        settled = await asyncio.gather(*(settles.submit(ending) for ending in endings))
        print(sum(one.charge_nano for one in settled if one.now), flush=True)
        settles.close()
    opens.close()


if __name__ == "__main__":
    main()
