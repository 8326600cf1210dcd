"""Tokens per second of the engine beside transformers' own ``generate``, one model, one run, one table.

    python -m bench.engine [--model FOLDER] [--device cpu] [--tokens 64] [--threads 1]

Each cell is the median of its rounds; the ways take turns within a round, so a busy machine slows all of them alike. Prompts have
mixed lengths, as users' have: ``generate`` in a batch pads them on the left.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
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


def run_engine(engine: Engine, prompts: list[list[int]], tokens: int) -> int:
    """Returns the output tokens made."""
    made = 0
    sampling = wire.Sampling(max_tokens=tokens, temperature=0)
    for number, prompt in enumerate(prompts):
        engine.submit(
            Request(id=str(number), prompt_ids=prompt, heard_ids=[], sampling=sampling, deadline=time.time() + 3600)
        )
    while engine.has_work:
        made += sum(len(output.token_ids) for output in engine.step())
    return made


def run_one_by_one(model: Any, prompts: list[list[int]], tokens: int) -> int:
    return sum(run_batched(model, [prompt], tokens) for prompt in prompts)


def run_batched(model: Any, prompts: list[list[int]], tokens: int) -> int:
    """One ``generate`` call. Every sequence makes all its tokens: no end token is set."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts], device=model.device)
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    made = model.generate(
        ids, attention_mask=mask, max_new_tokens=tokens, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    return int((made.shape[1] - longest) * len(prompts))


def rate(run: Callable[[], int]) -> float:
    """Tokens per second."""
    started = time.perf_counter()
    made = run()
    return made / (time.perf_counter() - started)


def measure(folder: Path, *, device: str, tokens: int, rounds: int) -> None:
    engine = Engine.load(folder, device=device)
    engine.eos_ids = frozenset()
    dtype = torch.float32 if device == "cpu" else "auto"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(device).eval()
    rng = random.Random(0)
    print(f"{'concurrent':>10} {'engine':>9} {'one by one':>11} {'batched':>9}   tokens/s, median of {rounds}")
    for count in CONCURRENCY:
        prompts = [
            [rng.randrange(2, engine.vocab_size) for _ in range(rng.randint(*PROMPT_TOKENS))] for _ in range(count)
        ]
        ways: dict[str, Callable[[], int]] = {
            "engine": lambda p=prompts: run_engine(engine, p, tokens),
            "one by one": lambda p=prompts: run_one_by_one(model, p, tokens),
            "batched": lambda p=prompts: run_batched(model, p, tokens),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(rounds + 1):
            for name, way in ways.items():
                speed = rate(way)
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
    parser.add_argument("--tokens", type=int, default=64, help="output tokens of a request")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.model or (SAMPLE if (SAMPLE / "config.json").exists() else random_model(Path(scratch)))
        print(f"model: {folder if args.model else folder.name}, {args.device}, {torch.get_num_threads()} threads")
        measure(folder, device=args.device, tokens=args.tokens, rounds=args.rounds)


if __name__ == "__main__":
    main()
