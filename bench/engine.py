"""Tokens per second of the engine beside transformers' own ``generate``, one model, one run, one table.

    python -m bench.engine [--model FOLDER] [--device cpu] [--tokens 64] [--threads 1] [--cpu-time]

Each cell is the median of its rounds; the ways take turns within a round, so a busy machine slows all of them alike. Prompts and
answers have mixed lengths, as users' have: ``generate`` in a batch pads the prompts, and goes on until the longest answer is done.
Only tokens that somebody asked for are counted.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from inference import wire
from inference.engine import Engine, Request

SAMPLE = Path(__file__).parent.parent / "inference" / "sample" / "bard"
CONCURRENCY = (1, 8, 32)
PROMPT_TOKENS = (8, 64)
Clock = Callable[[], float]


@dataclass(frozen=True)
class Job:
    prompt: list[int]
    tokens: int  # wanted


def random_model(folder: Path) -> Path:
    """A GPT-2 of 6 layers and width 256 with random weights."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=4096, n_positions=512, n_embd=256, n_layer=6, n_head=4, bos_token_id=0, eos_token_id=1
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE({f"t{n}": n for n in range(4096)}, []))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def make_jobs(count: int, tokens: int, vocab_size: int, rng: random.Random) -> list[Job]:
    return [
        Job(
            [rng.randrange(2, vocab_size) for _ in range(rng.randint(*PROMPT_TOKENS))], rng.randint(tokens // 4, tokens)
        )
        for _ in range(count)
    ]


def run_engine(engine: Engine, jobs: list[Job]) -> int:
    """Returns the output tokens made."""
    made = 0
    for number, job in enumerate(jobs):
        sampling = wire.Sampling(max_tokens=job.tokens, temperature=0)
        deadline = time.time() + 3600
        engine.submit(
            Request(id=str(number), prompt_ids=job.prompt, heard_ids=[], sampling=sampling, deadline=deadline)
        )
    while engine.has_work:
        made += sum(len(output.token_ids) for output in engine.step())
    return made


def run_one_by_one(model: Any, jobs: list[Job]) -> int:
    return sum(run_batched(model, [job]) for job in jobs)


def run_batched(model: Any, jobs: list[Job]) -> int:
    """One ``generate`` call, without an end token."""
    longest = max(len(job.prompt) for job in jobs)
    ids = torch.tensor([[0] * (longest - len(job.prompt)) + job.prompt for job in jobs], device=model.device)
    mask = torch.tensor(
        [[0] * (longest - len(job.prompt)) + [1] * len(job.prompt) for job in jobs], device=model.device
    )
    most = max(job.tokens for job in jobs)
    model.generate(ids, attention_mask=mask, max_new_tokens=most, do_sample=False, eos_token_id=None, pad_token_id=0)
    return sum(job.tokens for job in jobs)


def rate(run: Callable[[], int], clock: Clock) -> float:
    """Tokens per second of ``clock``."""
    started = clock()
    made = run()
    return made / (clock() - started)


def measure(folder: Path, *, device: str, tokens: int, rounds: int, clock: Clock) -> None:
    engine = Engine.load(folder, device=device)
    engine.eos_ids = frozenset()
    dtype = torch.float32 if device == "cpu" else "auto"
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    model.to(device).eval()
    rng = random.Random(0)
    print(f"{'concurrent':>10} {'engine':>9} {'one by one':>11} {'batched':>9}   tokens/s, median of {rounds}")
    for count in CONCURRENCY:
        jobs = make_jobs(count, tokens, engine.vocab_size, rng)
        ways: dict[str, Callable[[], int]] = {
            "engine": partial(run_engine, engine, jobs),
            "one by one": partial(run_one_by_one, model, jobs),
            "batched": partial(run_batched, model, jobs),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(rounds + 1):
            for name, way in ways.items():
                speed = rate(way, clock)
                if turn:  # the first round warms up
                    rates[name].append(speed)
        middle = {name: statistics.median(speeds) for name, speeds in rates.items()}
        best = max(middle["one by one"], middle["batched"])
        cells = f"{middle['engine']:>9.0f} {middle['one by one']:>11.0f} {middle['batched']:>9.0f}"
        print(f"{count:>10} {cells}   engine is {middle['engine'] / best:.2f}x the better of the two", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a release's folder; by default the sample model, or random weights")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tokens", type=int, default=64, help="the longest answer; the shortest is a quarter of it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--cpu-time", action="store_true", help="count seconds of processor time: for a machine that others use"
    )
    args = parser.parse_args()
    clock = time.process_time if args.cpu_time else time.perf_counter
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.model or (SAMPLE if (SAMPLE / "config.json").exists() else random_model(Path(scratch)))
        print(f"model: {folder if args.model else folder.name}, {args.device}, {torch.get_num_threads()} threads")
        measure(folder, device=args.device, tokens=args.tokens, rounds=args.rounds, clock=clock)


if __name__ == "__main__":
    main()
