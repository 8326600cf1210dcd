"""Training tokens per second beside a bare TRL script of the same method on the same tokens, and what progress and checkpoints cost.

    python -m bench.training [--rounds 3] [--steps 30] [--method lora|full] [--threads 1] [--checkpoint-s 60]

Both are processes of their own with the same threads, and take turns, so a busy machine slows both alike. The bare script gets the rows
as they were encoded here, TRL's own collator and loss, float32, no gradient checkpointing, and PEFT's same adapter. Counted is the loop
from the second step on: neither imports nor loading. On a busy machine the column per second of the process's own CPU says more. A last
run, with checkpoints at their default interval, goes on for about ``--checkpoint-s`` seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from datasets import Dataset

from bench.stage import ROOT
from inference.training.task import DataFile, TrainingTask
from inference.wire import Hyper

SAMPLE: Final = ROOT / "inference" / "sample" / "bard"
EXAMPLES: Final = 400
BARE: Final = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer
o = json.loads(sys.argv[1])
torch.set_num_threads(o["threads"])
class Times(TrainerCallback):
    at, cpu = [], []
    def on_step_end(self, *a, **k):
        self.at.append(time.monotonic()); self.cpu.append(time.process_time())
peft = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear") if o["method"] == "lora" else None
args = SFTConfig(output_dir=o["out"], per_device_train_batch_size=o["batch"], max_steps=o["steps"], learning_rate=1e-4, max_length=None,
    gradient_checkpointing=False, bf16=False, save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True, seed=42)
trainer = SFTTrainer(AutoModelForCausalLM.from_pretrained(o["model"]), args=args, train_dataset=Dataset.from_file(o["rows"]),
    processing_class=AutoTokenizer.from_pretrained(o["model"]), peft_config=peft, callbacks=[Times()])
seen = []
collate = trainer.data_collator
def counted(rows):
    seen.append(sum(len(row["input_ids"]) for row in rows))
    return collate(rows)
trainer.data_collator = counted
trainer.train()
print(json.dumps({"seconds": Times.at[-1] - Times.at[0], "cpu_s": Times.cpu[-1] - Times.cpu[0], "tokens": sum(seen[1:o["steps"]])}))
"""


def write_data(path: Path) -> DataFile:
    """Dialogues with answers of mixed lengths, out of the reference text."""
    text = (ROOT / "inference" / "sample" / "reference" / "winters_tale_act_1.txt").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    with path.open("w", encoding="utf-8") as file:
        for number in range(EXAMPLES):
            begin, length = number * 7 % (len(lines) - 40), 2 + number * 5 % 12
            asked, answered = lines[begin : begin + 3], lines[begin + 3 : begin + 3 + length]
            messages = [
                {"role": "user", "content": "\n".join(asked)},
                {"role": "assistant", "content": "\n".join(answered)},
            ]
            file.write(json.dumps({"messages": messages}) + "\n")
    return DataFile(path=path, filename=path.name, format="chat")


def run_ours(folder: Path, data: DataFile, given: argparse.Namespace, *, steps: int) -> dict[str, Any]:
    """Seconds and tokens from the second step on, and the child's last word."""
    folder.mkdir()
    hyper = Hyper(steps=steps, batch_size=given.batch, learning_rate=1e-4, max_length=256)
    task = TrainingTask(
        method="supervised", adaptation=given.method, training=data, hyper=hyper, out=folder, base=SAMPLE,
        base_name="acme/bard", base_digest=f"sha256:{1:064x}", threads=given.threads,
    )  # fmt: skip
    task.write(folder / "task.json")
    with subprocess.Popen(
        [sys.executable, "-m", "inference.training", str(folder / "task.json")], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        said = []
        for line in child.stdout:
            said.append(json.loads(line))
            if said[-1]["kind"] in ("done", "failed"):
                child.kill()
    points = [point for message in said if message["kind"] == "points" for point in message["points"]]
    last = said[-1]
    if last["kind"] != "done":
        raise SystemExit(f"it failed: {last}")
    seconds = points[-1]["at"] - points[0]["at"]
    return last | {"seconds": seconds, "tokens": points[-1]["trained_tokens"] - points[0]["trained_tokens"]}


def run_bare(folder: Path, rows: Path, given: argparse.Namespace) -> dict[str, Any]:
    """The same of the bare script."""
    options = {
        "threads": given.threads, "method": given.method, "out": str(folder), "batch": given.batch, "steps": given.steps,
        "model": str(SAMPLE), "rows": str(rows),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", BARE, json.dumps(options)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def as_labels(rows: Path, target: Path) -> Path:
    """The rows of a training as TRL takes them: ``input_ids`` and ``labels``."""
    examples = Dataset.from_file(str(rows))
    made = [
        {
            "input_ids": row["input_ids"],
            "labels": [i if w else -100 for i, w in zip(row["input_ids"], row["weights"], strict=True)],
        }
        for row in examples
    ]
    table = pa.Table.from_pylist(made)
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return target


def rate(runs: list[dict[str, Any]], per: str) -> float:
    """Tokens per second, the median of the rounds."""
    return statistics.median(made["tokens"] / made[per] for made in runs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--method", choices=("lora", "full"), default="lora")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint-s", type=float, default=60.0, help="of the last run; 0: none")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = write_data(folder / "train.jsonl")
        ours: list[dict[str, Any]] = []
        bare: list[dict[str, Any]] = []
        rows: Path | None = None
        for number in range(given.rounds):
            ours.append(run_ours(folder / f"ours-{number}", data, given, steps=given.steps))
            rows = rows or as_labels(folder / "ours-0" / "rows" / "training" / "rows.arrow", folder / "labels.arrow")
            bare.append(run_bare(folder / f"bare-{number}", rows, given))
        print(f"{given.method}, {given.threads} threads    tokens/s    tokens/CPU s")
        for name, runs in (("here", ours), ("bare TRL", bare)):
            print(f"{name:16} {rate(runs, 'seconds'):12.1f} {rate(runs, 'cpu_s'):15.1f}")
        print("times " + " ".join(f"{rate(ours, per) / rate(bare, per):20.2f}" for per in ("seconds", "cpu_s")))
        telling = sum(made["telling_s"] for made in ours) / sum(made["training_s"] for made in ours)
        print(f"telling of each step: {telling:.4%} of the time")
        if given.checkpoint_s:
            steps = round(given.steps * given.checkpoint_s / statistics.median(made["training_s"] for made in ours))
            long = run_ours(folder / "long", data, given, steps=max(given.steps, steps))
            print(
                f"checkpoints by the clock: {long['writing_s'] / long['training_s']:.2%} of {long['training_s']:.0f} s"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
