"""OpenAI's shapes of a job, its events and its checkpoints. What is ours besides is under ``progress`` and ``cost``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from store.tuning.models import JobStatus, TuneCheckpoint, TuneEvent, TuneJob, TuneMethod
from store.tuning.names import SCRATCH

Json = dict[str, Any]


def shown_job(job: TuneJob, *, position: int | None = None) -> Json:
    """``fine_tuning.job``."""
    ended = not job.is_open
    failed = job.status == JobStatus.FAILED
    return {
        "id": job.public_id,
        "object": "fine_tuning.job",
        "model": job.base_listing.name if job.base_listing else SCRATCH,
        "created_at": _unix(job.created_at),
        "finished_at": _unix(job.finished_at),
        "estimated_finish": _unix(job.eta_at),
        "fine_tuned_model": job.model_name if job.status == JobStatus.SUCCEEDED else None,
        "organization_id": job.organization.slug,
        "result_files": [job.result_file.public_id] if job.result_file else [],
        "status": job.status,
        "validation_file": job.validation_file.public_id if job.validation_file else None,
        "training_file": job.training_file.public_id,
        "hyperparameters": _hyper(job),
        "trained_tokens": job.charged_tokens if ended and not failed else None,
        "error": {"code": job.error_code, "message": job.error_message, "param": job.error_param or None} if failed else None,
        "user_provided_suffix": job.suffix or None,
        "seed": job.hyper.get("seed", job.asked.get("seed", 0)),
        "integrations": [],
        "metadata": job.metadata,
        "method": {"type": job.method, job.method: {"hyperparameters": _hyper(job)}},
        "progress": _progress(job, position),
        "cost": {"price_nano": job.price_nano, "held_nano": job.held_nano, "charge_nano": job.charge_nano},
    }  # fmt: skip


def _hyper(job: TuneJob) -> Json:
    """As they were computed; before that, as they were asked for."""
    known = job.hyper or job.asked
    epochs = known.get("epochs", "auto")
    shown = {
        "batch_size": known.get("batch_size", "auto"),
        "learning_rate_multiplier": job.asked.get("learning_rate_multiplier", "auto"),
        "n_epochs": int(epochs) if isinstance(epochs, float) and epochs.is_integer() else epochs,
    }
    if job.method == TuneMethod.DPO:
        shown["beta"] = known.get("dpo_beta", "auto")
    return shown


def _progress(job: TuneJob, position: int | None) -> Json:
    """Where it is in the queue, and in its training."""
    return {
        "position": position,
        "stage": job.stage or None,
        "step": job.step,
        "total_steps": job.steps or None,
        "epoch": job.epoch_done,
        "trained_tokens": job.trained_tokens,
        "most_tokens": job.quote_tokens or None,
        "perplexity_before": job.perplexity_before,
        "perplexity_after": job.perplexity_after,
        "adaptation": job.adaptation,
        "hyperparameters": job.hyper or None,
    }


def shown_event(event: TuneEvent) -> Json:
    """``fine_tuning.job.event``."""
    return {
        "id": event.public_id,
        "object": "fine_tuning.job.event",
        "created_at": _unix(event.created_at),
        "level": event.level,
        "type": event.type,
        "message": event.message,
        "data": event.data,
    }


def shown_checkpoint(checkpoint: TuneCheckpoint) -> Json:
    """``fine_tuning.job.checkpoint``."""
    return {
        "id": checkpoint.public_id,
        "object": "fine_tuning.job.checkpoint",
        "created_at": _unix(checkpoint.created_at),
        "fine_tuned_model_checkpoint": checkpoint.model_name,
        "fine_tuning_job_id": checkpoint.job.public_id,
        "step_number": checkpoint.step,
        "metrics": {
            "step": checkpoint.step,
            "train_loss": checkpoint.loss,
            "train_mean_token_accuracy": checkpoint.accuracy,
            "valid_loss": checkpoint.val_loss,
            "valid_mean_token_accuracy": checkpoint.val_accuracy,
            "full_valid_loss": checkpoint.val_loss,
            "full_valid_mean_token_accuracy": checkpoint.val_accuracy,
        },
    }


def shown_page(rows: list[Json], *, has_more: bool) -> Json:
    """A page of a list."""
    ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]} if rows else {"first_id": None, "last_id": None}
    return {"object": "list", "data": rows, "has_more": has_more, **ends}


def _unix(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None
