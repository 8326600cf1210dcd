"""TRL's trainers, with our order of rows, our checkpoints and our eyes on every step.

What is theirs: the loop, accumulation, clipping, mixed precision, the model's wrapping by PEFT, DPO's loss, and on a GPU the fused
head. What is ours: which rows a step has, what is counted of it, how state is kept, and on a CPU a loss that computes the head for
trained tokens only.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from peft import PeftModel
from transformers import PrinterCallback
from transformers.optimization import Adafactor
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from inference.training.models import CHECKPOINTED, Subject, load_base, load_trained
from inference.training.rows import IGNORED, Collator, Order, Rows
from inference.training.state import load_random, load_state
from inference.training.task import TrainingTask
from inference.wire import Hyper

MAX_LOGITS: Final = 2**28  # numbers of one batch that are kept on a CPU; beyond it TRL's tiles are used
SCHEDULES: Final = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


class Watcher(Protocol):
    """Hears each step that was made."""

    def on_step(self, *, loss: float, grad_norm: float, learning_rate: float) -> None: ...


class _Ours:
    """What both trainers have in common; mixed into a :class:`transformers.Trainer`."""

    hyper: Hyper
    order: Order
    watcher: Watcher | None = None
    # What the loop itself has.
    model: Any
    optimizer: Any
    lr_scheduler: Any
    accelerator: Any

    def _get_train_sampler(self, *_args: Any) -> Order:
        return self.order

    def log(self, logs: dict[str, float], *_args: Any, **_more: Any) -> None:
        """Called once a step by the loop, with the step's own loss."""
        if self.watcher is not None and "loss" in logs:
            self.watcher.on_step(
                loss=logs["loss"], grad_norm=logs.get("grad_norm", 0.0), learning_rate=logs["learning_rate"]
            )

    def create_optimizer(self, model: Any = None) -> Any:
        if self.optimizer is None:
            self.optimizer = make_optimizer(model or self.model, self.hyper)
        return self.optimizer

    def _load_from_checkpoint(self, *_args: Any, **_more: Any) -> None:
        """The weights were loaded before."""

    def _load_optimizer_and_scheduler(self, checkpoint: str) -> None:
        load_state(
            Path(checkpoint), optimizer=self.optimizer, scheduler=self.lr_scheduler, scaler=self.accelerator.scaler
        )

    def _load_scaler(self, _checkpoint: str) -> None:
        """It came with the rest."""

    def _load_rng_state(self, checkpoint: str) -> None:
        load_random(Path(checkpoint))


class Supervised(_Ours, SFTTrainer):
    """Cross-entropy over the tokens that have a weight. Also for texts, and for models from nothing."""

    loss_is_scaled_for_ga = True  # by the weight of the whole step, its accumulated batches together
    _hits: float | torch.Tensor = 0.0
    _targets: int = 0

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        sums = token_losses(self.accelerator, model, inputs)
        self._hits, self._targets = self._hits + sums.hits, self._targets + sums.targets
        return sums.loss / (sums.weight if num_items_in_batch is None else num_items_in_batch).clamp(min=1e-6)

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Any]], device: Any) -> Any:
        parts = [
            batch["weights"][:, 1:].sum() if "weights" in batch else (batch["labels"][:, 1:] != IGNORED).sum()
            for batch in batch_samples
        ]
        return torch.stack([part.float() for part in parts]).sum().to(device) if parts else None

    def take_accuracy(self) -> float | None:
        """The share of the step's tokens that were guessed right; once a step."""
        made = float(self._hits) / self._targets if self._targets else None
        self._hits, self._targets = 0.0, 0
        return made


class Preference(_Ours, DPOTrainer):
    """Direct preference optimization (Rafailov and others, 2023), as TRL does it."""

    def _prepare_dataset(self, dataset: Any, *_args: Any) -> Any:
        return dataset  # it is tokens already

    def take_accuracy(self) -> float | None:
        """The share of the step's pairs in which the preferred answer got likelier than the other; once a step."""
        return self.take_metric("train", "rewards/accuracies")

    def take_metric(self, mode: str, name: str) -> float | None:
        """The mean since it was last taken; the other metrics are forgotten."""
        found = self._metrics[mode].get(name)
        made = sum(found) / len(found) if found else None
        self._metrics[mode].clear()
        return made


class Sums(NamedTuple):
    """Of the trained tokens of a batch."""

    loss: torch.Tensor  # each times its weight
    weight: torch.Tensor
    hits: torch.Tensor  # guessed right
    targets: int


def token_losses(accelerator: Any, model: Any, inputs: dict[str, Any]) -> Sums:
    """The cross-entropy of every token that has a label."""
    labels = inputs["labels"][:, 1:]
    mask = labels != IGNORED
    count = int(mask.sum())
    head = model.get_output_embeddings()
    if labels.device.type == "cpu" and count * head.weight.shape[0] <= MAX_LOGITS:
        losses, right = _compact_losses(accelerator, model, head, inputs, labels[mask], mask)
    else:
        kept = {name: value for name, value in inputs.items() if name != "weights"}
        outputs = model(**kept, use_cache=False, fused_lm_head=True)
        losses, right = -outputs.log_probs[mask], outputs.is_top1[mask]
    if "weights" not in inputs:
        return Sums(losses.sum(), torch.tensor(float(count), device=losses.device), right.sum(), count)
    weights = inputs["weights"][:, 1:][mask]
    return Sums((losses * weights).sum(), weights.sum(), right.sum(), count)


def _compact_losses(
    accelerator: Any, model: Any, head: Any, inputs: dict[str, Any], targets: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of each trained token, and whether it was guessed. The head sees no other token: on a CPU that is time saved.

    Shapes: ``targets`` (N,), ``mask`` (B, T - 1), both results (N,).
    """
    plain: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    read = {name: inputs[name] for name in ("input_ids", "position_ids") if name in inputs}
    with accelerator.autocast():
        hidden = plain.base_model(**read, use_cache=False).last_hidden_state[:, :-1]
        logits = head(hidden[mask]).float()
    cap = getattr(plain.config, "final_logit_softcapping", None)
    if cap:
        logits = torch.tanh(logits / cap) * cap
    return F.cross_entropy(logits, targets, reduction="none"), logits.detach().argmax(-1) == targets


AnyTrainer = Supervised | Preference


def make_optimizer(model: Any, hyper: Hyper) -> Any:
    """As :class:`inference.wire.Hyper` names it; weights decay in matrices only."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": hyper.weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    rate = hyper.learning_rate
    if hyper.optimizer == "adamw_8bit":
        bitsandbytes: Any = importlib.import_module("bitsandbytes")  # is not everywhere: see check_device
        return bitsandbytes.optim.AdamW8bit(groups, lr=rate)
    if hyper.optimizer == "adafactor":
        return Adafactor(groups, lr=rate, scale_parameter=False, relative_step=False)
    if hyper.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=0.9)
    kind = torch.optim.Adam if hyper.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=rate, betas=(0.9, 0.999), fused=True)


def make_trainer(task: TrainingTask, subject: Subject, rows: Rows, order: Order) -> AnyTrainer:
    """A trainer whose model has the weights that training goes on from. Raises as :func:`inference.training.models.make_subject`."""
    arguments = _arguments(task, subject, order)
    options: dict[str, Any] = {
        "model": subject.model, "processing_class": subject.tokenizer, "train_dataset": rows.dataset,
        "peft_config": subject.lora,
    }  # fmt: skip
    trainer: AnyTrainer
    if task.method == "dpo":
        reference = load_base(task, subject.precision) if subject.lora is None else None
        trainer = Preference(
            **options, ref_model=reference, data_collator=DataCollatorForPreference(subject.pad_id),
            args=DPOConfig(**arguments, beta=task.hyper.dpo_beta, max_length=None),
        )  # fmt: skip
    else:
        trainer = Supervised(
            **options, data_collator=Collator(subject.pad_id),
            args=SFTConfig(**arguments, max_length=None, dataset_kwargs={"skip_prepare_dataset": True}),
        )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.hyper, trainer.order = task.hyper, order
    if task.adapter is not None and subject.lora is not None:
        load_trained(trainer.model, task.adapter)
        if task.method == "dpo":  # what it is compared with is the adapter as it came
            trainer.model.add_adapter("ref", subject.lora)
            load_trained(trainer.model, task.adapter, adapter_name="ref")
    if task.resume is not None:
        load_trained(trainer.model, task.resume)
    return trainer


def _arguments(task: TrainingTask, subject: Subject, order: Order) -> dict[str, Any]:
    hyper, on_cpu = task.hyper, task.device == "cpu"
    warmup = hyper.warmup if hyper.warmup >= 1 else round(hyper.warmup * order.steps)
    is_large = not on_cpu and subject.model.num_parameters() >= CHECKPOINTED
    return {
        "output_dir": str(task.out / "trainer"), "per_device_train_batch_size": hyper.batch_size,
        "gradient_accumulation_steps": hyper.accumulation, "learning_rate": hyper.learning_rate, "max_steps": order.steps,
        "lr_scheduler_type": SCHEDULES[hyper.schedule], "warmup_steps": int(warmup), "max_grad_norm": hyper.clip,
        "bf16": subject.precision == "bfloat16", "fp16": subject.precision == "float16", "use_cpu": on_cpu,
        "gradient_checkpointing": is_large, "logging_steps": 1, "logging_nan_inf_filter": False, "save_strategy": "no",
        "eval_strategy": "no", "report_to": "none", "disable_tqdm": True, "seed": hyper.seed, "data_seed": hyper.seed,
        "dataloader_num_workers": 0, "remove_unused_columns": False,
    }  # fmt: skip
