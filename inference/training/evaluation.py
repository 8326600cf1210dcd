"""What a model makes of rows that it was not trained on, and what it answers to the prompts that are asked each time.

Neither touches a random generator, so a training that is evaluated more often is the same training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from inference.errors import PromptError
from inference.prompt import PromptEncoder
from inference.training.rows import Collator, Rows
from inference.training.trainers import AnyTrainer, Preference, token_losses
from inference.wire import Sample

MAX_PROMPTS: Final = 8
ANSWER_TOKENS: Final = 48
MAX_EXPONENT: Final = 300.0  # of a perplexity: beyond it is no number that says anything


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """``loss`` is the trainer's own; ``perplexity`` is per trained token, of a preference's preferred answer."""

    loss: float
    accuracy: float | None
    perplexity: float


@torch.no_grad()
def evaluate(trainer: AnyTrainer, rows: Rows, collator: Collator, *, batch_size: int) -> Evaluation:
    """Over all rows. The model comes back as it was, and is put to training by the loop itself."""
    trainer.model.eval()
    loss, weight, hits, targets = 0.0, 0.0, 0.0, 0
    for batch in _batches(rows, batch_size):
        inputs = trainer._prepare_inputs(collator(_as_examples(batch)))
        sums = token_losses(trainer.accelerator, trainer.model, inputs)
        loss, weight = loss + float(sums.loss), weight + float(sums.weight)
        hits, targets = hits + float(sums.hits), targets + sums.targets
    mean = loss / weight
    perplexity = math.exp(min(mean, MAX_EXPONENT)) if math.isfinite(mean) else math.inf
    if isinstance(trainer, Preference):
        return _evaluate_pairs(trainer, rows, batch_size, perplexity)
    return Evaluation(loss=mean, accuracy=hits / targets, perplexity=perplexity)


def _evaluate_pairs(trainer: Preference, rows: Rows, batch_size: int, perplexity: float) -> Evaluation:
    loss = 0.0
    for batch in _batches(rows, batch_size):
        inputs = trainer._prepare_inputs(trainer.data_collator(batch))
        loss += float(trainer.compute_loss(trainer.model, inputs)) * len(batch)
    accuracy = trainer.take_metric("eval", "rewards/accuracies")
    return Evaluation(loss=loss / len(rows), accuracy=accuracy, perplexity=perplexity)


def _batches(rows: Rows, size: int) -> Iterator[list[dict[str, Any]]]:
    for begin in range(0, len(rows), size):
        yield [rows.dataset[number] for number in range(begin, min(begin + size, len(rows)))]


def _as_examples(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pairs as examples of their preferred answer; examples as they are."""
    return [
        row
        if "input_ids" in row
        else {
            "input_ids": row["prompt_ids"] + row["chosen_ids"],
            "weights": [0.0] * len(row["prompt_ids"]) + [1.0] * len(row["chosen_ids"]),
        }
        for row in batch
    ]


@torch.no_grad()
def answer(
    trainer: AnyTrainer, prompts: Sequence[str], encoder: PromptEncoder, *, step: int, as_chat: bool, pad_id: int
) -> list[Sample]:
    """The likeliest answer to each prompt, ANSWER_TOKENS at most. A prompt that cannot be asked gets none."""
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    model.eval()
    samples = []
    for prompt in prompts[:MAX_PROMPTS]:
        try:
            ids = encoder.encode_chat([{"role": "user", "content": prompt}]) if as_chat else encoder.encode_text(prompt)
        except PromptError:
            continue
        if len(ids) + ANSWER_TOKENS > encoder.context_length:
            continue
        asked = torch.tensor([ids], device=model.device)
        with trainer.accelerator.autocast():
            made = model.generate(
                input_ids=asked, attention_mask=torch.ones_like(asked), max_new_tokens=ANSWER_TOKENS, do_sample=False,
                eos_token_id=sorted(encoder.eos_ids) or None, pad_token_id=pad_id, use_cache=True,
            )  # fmt: skip
        samples.append(Sample(step=step, prompt=prompt, answer=encoder.decode(made[0, len(ids) :].tolist())))
    return samples
