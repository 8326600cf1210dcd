"""Places to go on from. Those of the model can be called; the state of the newest alone is kept, for it is as large again."""

from __future__ import annotations

import logging

from inference import wire
from store.catalog.models import OrganizationBlob
from store.tuning.actions.moves import note
from store.tuning.models import OPEN_JOB, TuneCheckpoint, TuneCheckpointFile, TuneJob

logger = logging.getLogger(__name__)


def keep_checkpoint(job: TuneJob, said: wire.Checkpoint) -> TuneCheckpoint | None:
    """Writes a checkpoint down, once, inside a transaction that has locked the job. None where its files have not arrived whole."""
    known = job.checkpoints.filter(step=said.step).first()
    if known:
        return known
    own = OrganizationBlob.objects.filter(organization=job.organization, blob__in=said.files.values())
    missing = set(said.files.values()) - set(own.values_list("blob_id", flat=True))
    if missing or not said.files:
        logger.error("%s: %d files of the checkpoint at step %d are missing", job, len(missing), said.step)
        return None
    point = job.points.filter(step=said.step).first()
    checkpoint = TuneCheckpoint.objects.create(
        job=job, step=said.step, trained_tokens=said.trained_tokens, val_loss=said.val_loss, is_best=said.is_best,
        loss=point.loss if point else None, accuracy=point.accuracy if point else None,
        val_accuracy=point.val_accuracy if point else None,
    )  # fmt: skip
    models = set(said.model_files)
    TuneCheckpointFile.objects.bulk_create(
        TuneCheckpointFile(checkpoint=checkpoint, path=path, blob_id=sha256, is_model=path in models)
        for path, sha256 in said.files.items()
        if path in models or job.status in OPEN_JOB
    )
    older = job.checkpoints.filter(step__lt=said.step)
    TuneCheckpointFile.objects.filter(checkpoint__in=older, is_model=False).delete()
    job.fruitless = 0
    TuneJob.objects.filter(pk=job.pk).update(fruitless=0)
    note(job, f"Checkpoint at step {said.step}.", data={"step": said.step, "checkpoint": checkpoint.public_id})
    return checkpoint
