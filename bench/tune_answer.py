"""How soon the result of a training answers: from the last step, and from the end of the job, to the first token, on a resident base.

    python -m bench.tune_answer [--rounds 3] [--steps 8]

A store of its own with one worker of each kind, the sample model as the base, which has answered before. A client asks for the job's state
without a pause, and calls the result the moment that it has succeeded.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench.stage import Stage

if TYPE_CHECKING:
    from openai import OpenAI

    from store.tuning.models import TuneJob

GOAL_S = 2.0
READY_S = 180.0
DONE_S = 900.0
POLL_S = 0.01
ASKED = [{"role": "user", "content": "Who's there?"}]


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds to the first token of the result, and of the base right after, which does not wait for anything."""

    from_last_step: float
    from_success: float
    of_base: float


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--steps", type=int, default=8)
    asked = options.parse_args()
    with Stage() as stage:
        stage.start_servers()
        client, model, file_id = open_store(stage)
        rounds = [one_round(client, model, file_id, asked.steps, number) for number in range(asked.rounds)]
    table = Table("to the first token, seconds", "median", "least", "most", "goal")
    for name, values, goal in (
        ("from the last step, as it was reported", [each.from_last_step for each in rounds], ""),
        ("from the end of the job", [each.from_success for each in rounds], f"{GOAL_S:g}"),
        ("of the base, at the same time", [each.of_base for each in rounds], ""),
    ):
        table.add_row(name, *(f"{value:.2f}" for value in (median(values), min(values), max(values))), goal)
    Console().print(table)


def open_store(stage: Stage) -> tuple[OpenAI, str, str]:
    """A client, the sample model's name, and a file to train it on. The model is in the worker's memory."""
    from openai import OpenAI

    from store.accounts.actions import ensure_personal_organization
    from store.accounts.models import ProviderProfile, User
    from store.billing.actions import top_up_test
    from store.bringup.demo import SAMPLE
    from store.catalog.actions import PriceSpec, publish_folder
    from store.keys.actions import issue_key

    people = [User.objects.create_user(f"{name}@example.com") for name in ("seller", "buyer")]
    seller, buyer = (ensure_personal_organization(one) for one in people)
    ProviderProfile.objects.create(organization=seller)
    price = PriceSpec(input_nano=1, output_nano=1, training_nano=1, derivatives_allowed=True)
    release = publish_folder(organization=seller, user=None, folder=SAMPLE, slug="bard", price=price)
    top_up_test(organization=buyer, user=people[1], amount_nano=10**12)
    issued = issue_key(organization=buyer, user=people[1], name="bench", listings=[release.listing])
    url = start_parts(stage)
    client = OpenAI(base_url=f"{url}/v1", api_key=issued.secret, max_retries=5, timeout=READY_S)
    model = release.listing.name
    first_token(client, model)
    example = {"messages": [*ASKED, {"role": "assistant", "content": "Nay, answer me: stand, and unfold yourself."}]}
    content = "".join(json.dumps(example) + "\n" for _number in range(64)).encode()
    return client, model, client.files.create(file=("train.jsonl", content), purpose="fine-tune").id


def start_parts(stage: Stage) -> str:
    """Web, CPU worker with its clock, and a GPU worker that trains; returns the store's URL once they are ready."""
    import redis

    from inference import wire

    url = stage.start_web()
    env = {**stage.env(), "PUBLIC_URL": url, "INTERNAL_URL": url}
    celery = [sys.executable, "-m", "celery", "-A", "workers.cpu"]
    plain = ["--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    stage.spawn("cpu", [*celery, "worker", "--pool", "threads", "-c", "4", *plain], env=env)
    schedule = ["--schedule", str(stage.data_dir / "beat"), "--pidfile="]
    stage.spawn("beat", [*celery, "beat", "--loglevel", "WARNING", *schedule], env=env)
    own = {"DATABASE_URL": "", "SECRET_KEY": "", "TUNE_SLOTS": "1", "DEVICE": "cpu"}
    stage.spawn("gpu", [sys.executable, "-m", "workers.gpu"], env=env | own)
    client = redis.Redis.from_url(stage.env()["REDIS_URL"])
    until = time.monotonic() + READY_S
    while not client.smembers(wire.REPLICAS):
        if time.monotonic() > until:
            raise TimeoutError((stage.data_dir / "log").read_text()[-4000:])
        time.sleep(POLL_S)
    return url


def one_round(client: OpenAI, model: str, file_id: str, steps: int, number: int) -> Round:
    """A job, to its first answer."""
    from store.tuning.models import TuneJob

    hyper = {"steps": steps, "batch_size": 4, "seed": number}
    made = client.fine_tuning.jobs.create(
        model=model, training_file=file_id,
        method={"type": "supervised", "supervised": {"hyperparameters": hyper}},  # type: ignore[typeddict-item]
    )  # fmt: skip
    job = TuneJob.objects.get(public_id=made.id)
    last_step = await_step(job, steps)
    while not client.fine_tuning.jobs.retrieve(made.id).fine_tuned_model:
        if time.monotonic() - last_step > DONE_S:
            raise TimeoutError(f"{made.id} has not ended")
    succeeded = time.monotonic()
    result = client.fine_tuning.jobs.retrieve(made.id).fine_tuned_model
    assert result
    first_token(client, result)
    answered = time.monotonic()
    return Round(answered - last_step, answered - succeeded, first_token(client, model))


def await_step(job: TuneJob, step: int) -> float:
    """When the store knew of the step, in monotonic seconds."""
    until = time.monotonic() + DONE_S
    while True:
        job.refresh_from_db()
        if job.step >= step:
            return time.monotonic()
        if not job.is_open or time.monotonic() > until:
            raise RuntimeError(f"the job has ended at step {job.step}: {job.error_message}")
        time.sleep(POLL_S)


def first_token(client: OpenAI, model: str) -> float:
    """Seconds to the first words of an answer."""
    began = time.monotonic()
    answer = client.chat.completions.create(model=model, messages=ASKED, max_tokens=4, stream=True)  # type: ignore[call-overload]
    for chunk in answer:
        if chunk.choices and chunk.choices[0].delta.content:
            took = time.monotonic() - began
            answer.close()
            return took
    raise RuntimeError(f"{model} has answered nothing")


if __name__ == "__main__":
    main()
