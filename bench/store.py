"""What the store costs a model: tokens per second through the whole of it, beside the bare engine's in the same run.

    python -m bench.store [--seconds 10] [--rounds 3]

The sample model, one thread of torch. Each answer is the same 128 tokens. The bare engine is fed by an ``EngineLoop`` in a process of its own;
the store is one web process, one GPU worker, a Postgres that commits to disk, Valkey, and a load generator, all on this machine's
cores. The two take turns, round by round, and the middle of the ratios counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.stage import ROOT, Stage

CONCURRENCIES = (1, 8, 32)
TOKENS = 128
PROMPT = "SCENE 1. A forest.\n\n[Enter the DUKE and his lords.]\n\nDUKE.\n"
SEED = 11  # at this temperature an answer that goes on to its last token
SAMPLE = ROOT / "inference" / "sample" / "bard"
WARMUP_S = 3.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--bare", type=int, metavar="CONCURRENCY", help="measure the bare engine only, print tokens/s")
    asked = options.parse_args()
    if asked.bare:
        print(bare_engine(asked.bare, asked.seconds))
        return
    table = Table("at once", "bare engine tokens/s", "store tokens/s", "store / engine")
    with Stage() as stage:
        stage.start_servers()
        url, request = open_store(stage)
        for concurrency in CONCURRENCIES:
            pairs = [
                (_bare(concurrency, asked.seconds), _store(url, request, concurrency, asked.seconds))
                for _ in range(asked.rounds)
            ]
            ratio = median(store / bare for bare, store in pairs)
            bare, store = (median(column) for column in zip(*pairs, strict=True))
            table.add_row(str(concurrency), f"{bare:,.0f}", f"{store:,.0f}", f"{ratio:.2f}")
    Console(width=100).print(table)


def open_store(stage: Stage) -> tuple[str, str]:
    """Publishes the sample model and starts the processes that serve it. Returns the URL to call, and what to send."""
    from store.accounts.actions import become_provider, ensure_personal_organization
    from store.accounts.models import User
    from store.billing.actions import top_up_test
    from store.catalog.actions import PriceSpec, publish_folder
    from store.keys.actions import issue_key

    user = User.objects.create_user("bench@example.com")
    organization = ensure_personal_organization(user)
    become_provider(organization=organization, user=user)
    price = PriceSpec(input_nano=100_000_000, cached_input_nano=50_000_000, output_nano=400_000_000)
    release = publish_folder(
        organization=organization,
        user=user,
        folder=SAMPLE,
        slug="bard",
        price=price,
        title="Bard",
        licence="apache-2.0",
    )
    top_up_test(organization=organization, user=user, amount_nano=1000 * 10**9)
    issued = issue_key(organization=organization, user=user, name="bench", listings=[release.listing])
    base = stage.start_web()
    environment = {**stage.env(), "DATABASE_URL": "", "DEVICE": "cpu", "TORCH_THREADS": "1", "GPU_SLOTS": "64"}
    stage.spawn("gpu", [sys.executable, "-m", "workers.gpu"], env=environment)
    await_worker(stage)
    body = {
        "model": release.listing.name, "prompt": PROMPT, "max_tokens": TOKENS, "temperature": 1.0, "seed": SEED,
    }  # fmt: skip
    request = json.dumps({"headers": {"Authorization": f"Bearer {issued.secret}"}, "body": body})
    _load(f"{base}/v1/completions", request, max(CONCURRENCIES), WARMUP_S)
    return f"{base}/v1/completions", request


def await_worker(stage: Stage, *, timeout_s: float = 90) -> None:
    """Returns once a GPU worker has reported. Raises TimeoutError with what the processes said."""
    import redis

    from inference import wire

    until = time.monotonic() + timeout_s
    with redis.Redis.from_url(stage.env()["REDIS_URL"]) as client:
        while not client.scard(wire.REPLICAS):
            if time.monotonic() > until:
                raise TimeoutError((stage.data_dir / "log").read_text()[-4000:])
            time.sleep(0.1)


def bare_engine(concurrency: int, seconds: float) -> float:
    """Tokens per second of an engine without a store, in this process; each request follows the one before it at once."""
    import torch

    from inference.engine import Engine, EngineLoop, Output, Request
    from inference.prompt import PromptEncoder
    from inference.wire import Sampling

    torch.set_num_threads(1)
    prompt_ids = PromptEncoder.from_folder(SAMPLE).encode_text(PROMPT)
    sampling = Sampling(max_tokens=TOKENS, temperature=1.0, seed=SEED)
    made = 0
    ended = threading.Semaphore(concurrency)

    def sink(outputs: list[Output]) -> None:
        nonlocal made
        for output in outputs:
            if output.finish_reason:
                made += TOKENS
                ended.release()

    loop = EngineLoop(Engine.load(SAMPLE, max_batch=max(CONCURRENCIES)), sink)
    began, number = time.perf_counter(), 0
    while (now := time.perf_counter()) - began < WARMUP_S / 3 + seconds:
        if now - began < WARMUP_S / 3:
            counted_from, already = now, made
        ended.acquire()
        number += 1
        loop.submit(
            Request(id=str(number), prompt_ids=prompt_ids, heard_ids=[], sampling=sampling, deadline=time.time() + 600)
        )
    rate = (made - already) / (time.perf_counter() - counted_from)
    loop.close()
    return rate


def _bare(concurrency: int, seconds: float) -> float:
    command = [sys.executable, "-m", "bench.store", "--bare", str(concurrency), "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _store(url: str, request: str, concurrency: int, seconds: float) -> float:
    done = _load(url, request, concurrency, seconds)
    if done["errors"]:
        raise RuntimeError(f"the store answered {done['errors']}")
    return len(done["latencies_s"]) * TOKENS / float(done["wall_s"])


def _load(url: str, request: str, concurrency: int, seconds: float) -> dict[str, list[float]]:
    command = [sys.executable, "-m", "bench.load", url, str(concurrency), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, input=request, capture_output=True, text=True, check=True)
    result: dict[str, list[float]] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    main()
