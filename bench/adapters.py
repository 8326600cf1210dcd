"""What adapters cost: output tokens per second of one engine, with none, with one for all, and with one for each.

    python -m bench.adapters [--model FOLDER] [--device cpu] [--rank 8] [--at-once 8] [--threads 1] [--cpu-time]

Every linear layer of the model is changed. The ways take turns within a round, so a busy machine slows all of them alike; a ratio is
the middle one of its rounds, against the row without adapters in the same round.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM

from bench.engine import SAMPLE, Clock
from inference import wire
from inference.engine import Engine, Request

PROMPT = list(range(20, 36))  # token ids


def write_adapter(folder: Path, base: Path, *, rank: int, seed: int) -> Path:
    """A LoRA with random numbers on every linear layer of the model in ``base``."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(task_type="CAUSAL_LM", r=rank, target_modules="all-linear", init_lora_weights=False)
    get_peft_model(model, config).save_pretrained(str(folder))
    return folder


def rate(engine: Engine, adapters: list[str | None], tokens: int, clock: Clock) -> float:
    """Output tokens per second, with one request for each of ``adapters``, all of one length."""
    sampling = wire.Sampling(max_tokens=tokens, temperature=0)
    for number, adapter in enumerate(adapters):
        engine.submit(
            Request(
                id=str(number), prompt_ids=[number + 2, *PROMPT], heard_ids=[], sampling=sampling,
                deadline=time.time() + 3600, ignores_end=True, adapter=adapter,
            )
        )  # fmt: skip
    began = clock()
    while engine.has_work:
        engine.step()
    return tokens * len(adapters) / (clock() - began)


def measure(folder: Path, scratch: Path, asked: argparse.Namespace) -> Table:
    engine = Engine.load(folder, device=asked.device, max_batch=asked.at_once)
    digests: list[str | None] = [f"adapter-{number}" for number in range(asked.at_once)]
    for number, digest in enumerate(digests):
        engine.add_adapter(str(digest), write_adapter(scratch / str(digest), folder, rank=asked.rank, seed=number))
    half = asked.at_once // 2
    ways: dict[str, list[str | None]] = {
        "none": [None] * asked.at_once,
        "the same for all": digests[:1] * asked.at_once,
        f"for {half} of them, each its own": [None] * half + digests[half:],
        "each its own": digests,
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    clock = time.process_time if asked.cpu_time else time.perf_counter
    for turn in range(asked.rounds + 1):
        for name, way in ways.items():
            speed = rate(engine, way, asked.tokens, clock)
            if turn:  # the first round warms up
                rates[name].append(speed)
    table = Table("adapters", "tokens/s", "against none")
    for name, speeds in rates.items():
        ratio = statistics.median(speed / none for speed, none in zip(speeds, rates["none"], strict=True))
        table.add_row(name, f"{statistics.median(speeds):,.0f}", f"{ratio:.2f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SAMPLE, help="a release's folder; by default the sample model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128, help="of each answer")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--cpu-time", action="store_true", help="count seconds of processor time: for a machine that others use"
    )
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as scratch:
        table = measure(asked.model, Path(scratch), asked)
    print(f"{asked.model.name}, {asked.device}, {asked.at_once} at once, rank {asked.rank}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
