"""The card of a result, written from its run: what it was made from, on which data, how, and how that went."""

from __future__ import annotations

from typing import Any

import yaml

from inference import wire
from store.tuning.models import Adaptation, TuneJob, TuneMethod

CURVE_ROWS = 20
SHOWN_SAMPLES, SHOWN_CHARS = 8, 600
SHOWN_HYPER = (
    "epochs", "steps", "batch_size", "accumulation", "learning_rate", "schedule", "warmup", "optimizer", "weight_decay", "clip",
    "max_length", "packing", "precision", "rank", "alpha", "dropout", "targets", "dpo_beta", "split", "seed",
)  # fmt: skip
OF_ADAPTERS = ("rank", "alpha", "dropout", "targets")
METHODS = {
    TuneMethod.SUPERVISED: "supervised fine-tuning",
    TuneMethod.DPO: "direct preference optimization",
    TuneMethod.TEXT: "continued pretraining",
    TuneMethod.SCRATCH: "pretraining from scratch",
}


def result_card(job: TuneJob, report: wire.TuneReport) -> str:
    """README.md of the result. The data itself is not in it: only how much there was."""
    parts = [
        _front_matter(job),
        f"# {_title(job)}\n",
        _intro(job),
        _data(job, report),
        _table("Hyperparameters", ("", ""), _hyper(job)),
        _outcome(job, report),
        _table("Curve", ("step", "training loss", "validation loss", "learning rate"), _curve(job)),
        _samples(job),
    ]
    return "\n".join(part for part in parts if part)


def _title(job: TuneJob) -> str:
    name = job.base_listing.title if job.base_listing else "A model from scratch"
    return f"{name}, {job.suffix or 'fine-tuned'}" if job.base else f"{name}{f': {job.suffix}' if job.suffix else ''}"


def _front_matter(job: TuneJob) -> str:
    said: dict[str, Any] = {
        "title": _title(job),
        "pipeline_tag": "text-generation",
        "tags": ["fine-tune" if job.base else "pretrained"],
    }
    if job.base and job.base_listing:
        said["base_model"] = job.base_listing.name
        said["base_model_relation"] = "finetune" if job.adaptation == Adaptation.FULL else "adapter"
        on = job.base.base if job.adaptation != Adaptation.FULL else None  # an adapter names what it is served on
        said["base_model_digest"] = (on or job.base).digest
        said["license"] = job.base_listing.licence
        if job.base_listing.languages:
            said["language"] = list(job.base_listing.languages)
    return f"---\n{yaml.safe_dump(said, sort_keys=False, allow_unicode=True)}---\n"


def _intro(job: TuneJob) -> str:
    how = METHODS[TuneMethod(job.method)]
    if job.base is None or job.base_listing is None:
        return f"Made by {how} in this store, by the job `{job.public_id}`.\n"
    what = (
        "All its weights were trained"
        if job.adaptation == Adaptation.FULL
        else "It is an adapter, which was trained on"
        if job.base.base_id
        else "An adapter of low rank was trained on it"
    )
    return (
        f"Made from `{job.base_listing.name}` (release {job.base.number}, `{job.base.digest}`) by {how} in this store, "
        f"by the job `{job.public_id}`. {what}.\n"
    )


def _data(job: TuneJob, report: wire.TuneReport) -> str:
    rows = [
        ("examples", job.training_file.examples),
        ("bytes", job.training_file.size),
        ("sha256", f"`{job.training_file.sha256}`"),
    ]
    if job.validation_file:
        rows.append(("examples held out", job.validation_file.examples))
    rows += [
        ("passes over the data", f"{report.epoch_done:g}"),
        ("steps", report.step),
        ("tokens trained", report.trained_tokens),
    ]
    return _table("Data", ("", ""), rows)


def _hyper(job: TuneJob) -> list[tuple[str, object]]:
    shown = {name: job.hyper.get(name) for name in SHOWN_HYPER}
    if job.method != TuneMethod.DPO:
        shown.pop("dpo_beta")
    if job.adaptation == Adaptation.FULL:
        shown = {name: value for name, value in shown.items() if name not in OF_ADAPTERS}
    rows = [(name, value) for name, value in shown.items() if value is not None]
    return [*rows, *((name, value) for name, value in job.shape.items())]


def _outcome(job: TuneJob, report: wire.TuneReport) -> str:
    rows: list[tuple[str, object]] = []
    before = report.perplexity_before or job.perplexity_before
    after = report.perplexity_after or job.perplexity_after
    if before is not None:
        rows.append(("before", f"{before:.3f}"))
    if after is not None:
        rows.append(("after", f"{after:.3f}"))
    return _table("Perplexity of what was held out", ("", ""), rows)


def _curve(job: TuneJob) -> list[tuple[object, ...]]:
    rows = job.points.all().curve(most=CURVE_ROWS)
    return [
        (row["step"], _number(row["loss"]), _number(row["val_loss"]), _number(row["learning_rate"], ".3g")) for row in rows
    ]  # fmt: skip


def _samples(job: TuneJob) -> str:
    newest = job.samples.order_by("-step").values_list("step", flat=True).first()
    if newest is None:
        return ""
    lines = ["## Samples\n"]
    base = dict(job.samples.filter(step=0).values_list("number", "answer"))
    for sample in job.samples.filter(step=newest).order_by("number")[:SHOWN_SAMPLES]:
        lines.append(f"**Prompt**\n\n{_quoted(sample.prompt)}\n")
        if newest and sample.number in base:
            lines.append(f"**The base**\n\n{_quoted(base[sample.number])}\n")
        lines.append(f"**After {newest} steps**\n\n{_quoted(sample.answer)}\n")
    return "\n".join(lines)


def _table(title: str, head: tuple[str, ...], rows: Any) -> str:
    """A Markdown table; nothing where there are no rows."""
    lines = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    if not lines:
        return ""
    ruler = "|".join(["---"] * len(head))
    return "\n".join([f"## {title}\n", f"| {' | '.join(head)} |", f"|{ruler}|", *lines, ""])


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _quoted(text: str) -> str:
    """As code: what a model writes is no Markdown of ours."""
    return "".join(f"    {line}\n" for line in text[:SHOWN_CHARS].splitlines()) or "    \n"


def _number(value: float | None, form: str = ".4f") -> str:
    return "" if value is None else format(value, form)
