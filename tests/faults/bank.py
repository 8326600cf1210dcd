"""Eight tellers of a bank, of which one is killed every moment: ``python -m tests.faults.bank``, one JSON object on standard input.

Each teller is a process with connections of its own, forked from one that has Django ready; a new one takes the place of each that is killed. What it is
about to do, and what it has been told was done, are lines of a journal that survives it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from datetime import timedelta
from typing import Any

import django
from uuid_utils.compat import uuid7

from store.settings import configure

configure()
django.setup()

import stripe  # noqa: E402 - models need a Django that is set up
from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from store.accounts.models import Organization  # noqa: E402
from store.billing.actions import top_up_test  # noqa: E402
from store.billing.models import Topup  # noqa: E402
from store.billing.reversing import book_dispute, book_refund  # noqa: E402
from store.ledger.actions import lock_credit  # noqa: E402
from store.runs.actions import heartbeat_gateway, open_runs, settle_runs  # noqa: E402
from store.runs.books import OpenedRun, OpenRun, SettleRun  # noqa: E402
from store.runs.models import Endpoint, RunStatus  # noqa: E402

TELLERS = 8
CENT = 10**7  # nano-dollars
BETWEEN_KILLS_S = (0.05, 0.4)


class Teller:
    """One process at the counter."""

    def __init__(self, job: dict[str, Any], journal: int) -> None:
        self.job, self.journal, self.chance = job, journal, random.Random()
        self.organizations = list(Organization.objects.filter(pk__in=job["organizations"]))
        self.gateway_id = uuid7()
        heartbeat_gateway(self.gateway_id)
        self.open: list[tuple[Any, int]] = []  # run, most tokens
        self.topups: list[Topup] = []

    def work(self) -> None:
        """Until it is killed."""
        while True:
            deed = self.chance.choice([self.top_up, self.hold, self.hold, self.settle, self.settle, self.give_back])
            deed()

    def write(self, word: str, **said: Any) -> None:
        """One write call for a line: it is there whole, or not at all."""
        os.write(self.journal, json.dumps({"word": word, **said}).encode() + b"\n")

    def top_up(self) -> None:
        organization, nano = self.chance.choice(self.organizations), self.chance.randint(1, 9) * CENT
        self.write("try topup", nano=nano)
        topup = top_up_test(organization=organization, user=None, amount_nano=nano)
        self.write("topup", id=str(topup.pk), nano=nano)
        self.topups.append(topup)

    def hold(self) -> None:
        requests = [self._request() for _ in range(self.chance.randint(1, 4))]
        self.write("try hold", ids=[str(request.run_id) for request in requests])
        for answer in open_runs(requests):
            if isinstance(answer, OpenedRun):
                self.write("hold", id=str(answer.run_id), nano=answer.held_nano)
                self.open.append((answer.run_id, answer.max_tokens))

    def _request(self) -> OpenRun:
        listing_id, release_id = self.chance.choice(self.job["listings"])
        return OpenRun(
            run_id=uuid7(), organization_id=self.chance.choice(self.organizations).pk, user_id=None, api_key_id=None,
            listing_id=listing_id, release_id=release_id, gateway_id=self.gateway_id, endpoint=Endpoint.CHAT, request_id="bank",
            is_stream=False, prompt_tokens=self.chance.randint(1, 99), max_tokens=self.chance.randint(1, 99), context_left=400,
        )  # fmt: skip

    def settle(self) -> None:
        if self.open:
            ending, self.open = self.open[:5], self.open[5:]
            self.write("try settle", ids=[str(run_id) for run_id, _most in ending])
            answers = settle_runs([
                SettleRun(run_id=run_id, status=RunStatus.SUCCEEDED, output_tokens=self.chance.randint(0, most))
                for run_id, most in ending
            ])  # fmt: skip
            for answer in answers:
                self.write("settle", id=str(answer.run_id), nano=answer.charge_nano)

    def give_back(self) -> None:
        """A refund, or a dispute that is lost at once."""
        if self.topups:
            topup, number = self.topups.pop(), f"x_{uuid7()}"
            said = {"id": number, "amount": topup.amount_nano // CENT, "metadata": {}}
            self.write("try back", id=number, nano=topup.amount_nano)
            with transaction.atomic():
                lock_credit([topup.organization_id])
                if self.chance.random() < 0.5:
                    book_refund(topup, stripe.Refund.construct_from({**said, "status": "succeeded"}, None))
                else:
                    book_dispute(topup, stripe.Dispute.construct_from({**said, "status": "lost"}, None))
            self.write("back", id=number, nano=topup.amount_nano)


def begin(job: dict[str, Any], number: int) -> int:
    """Forks a teller; returns its process id. The parent has no connection that could be shared."""
    child = os.fork()
    if child == 0:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        try:
            Teller(job, os.open(f"{job['journals']}/{number}.jsonl", flags, 0o600)).work()
        finally:
            os._exit(1)  # it never comes to an end of its own
    return child


def main() -> None:
    job, chance = json.loads(sys.stdin.readline()), random.Random()
    until = timezone.now() + timedelta(seconds=job["seconds"])
    tellers = [begin(job, number) for number in range(TELLERS)]
    begun, killed = TELLERS, 0
    while timezone.now() < until:
        time.sleep(chance.uniform(*BETWEEN_KILLS_S))  # whatever they are in the middle of
        place = chance.randrange(TELLERS)
        os.kill(tellers[place], signal.SIGKILL)
        _pid, status = os.waitpid(tellers[place], 0)
        assert os.WIFSIGNALED(status), "a teller ended by an error of its own"
        killed += 1
        tellers[place] = begin(job, begun)
        begun += 1
    for teller in tellers:
        os.kill(teller, signal.SIGKILL)
        _pid, status = os.waitpid(teller, 0)
        assert os.WIFSIGNALED(status), "a teller ended by an error of its own"
    print(killed + TELLERS, flush=True)


if __name__ == "__main__":
    main()
