"""What happens during a job: its log, its curves, its answers, and the places to go on from."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Avg, F, Max, Min, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.catalog.models import Blob, Release
from store.tuning.models.jobs import TuneJob
from store.tuning.models.public_ids import new_id


class EventLevel(models.TextChoices):
    INFO = "info", _("Info")
    WARN = "warn", _("Warning")
    ERROR = "error", _("Error")


class EventType(models.TextChoices):
    """OpenAI's words."""

    MESSAGE = "message", _("Message")
    METRICS = "metrics", _("Numbers")


def new_event_id() -> str:
    """``ftevent-…``"""
    return new_id("ftevent-")


def new_checkpoint_id() -> str:
    """``ftckpt_…``, with an underscore as OpenAI's."""
    return new_id("ftckpt_")


class TuneEvent(models.Model):
    """A line of a job's log."""

    job = models.ForeignKey(TuneJob, on_delete=models.CASCADE, related_name="events")
    public_id = models.CharField(max_length=40, unique=True, default=new_event_id, editable=False)
    level = models.CharField(max_length=5, choices=EventLevel, default=EventLevel.INFO)
    type = models.CharField(max_length=7, choices=EventType, default=EventType.MESSAGE)
    message = models.TextField()
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["job", "-id"], name="tune_event_newest")]

    def __str__(self) -> str:
        return self.message


NUMBERS = (
    "loss", "val_loss", "learning_rate", "grad_norm", "tokens_per_s", "memory_bytes", "accuracy", "val_accuracy",
)  # fmt: skip


class TunePointQuerySet(models.QuerySet["TunePoint"]):
    def curve(self, *, most: int) -> list[dict[str, Any]]:
        """The points in order of their steps; where there are more than ``most``, as many means of equally many steps.

        ``loss_low`` and ``loss_high`` are the extremes of each mean, ``step`` its last step: no spike is hidden.
        """
        ends = self.aggregate(first=Min("step"), last=Max("step"))
        if ends["last"] is None:
            return []
        width = max(1, -(-(ends["last"] - ends["first"] + 1) // most))
        means = {f"mean_{name}": Avg(name) for name in NUMBERS}
        extremes = {"last_step": Max("step"), "loss_low": Min("loss"), "loss_high": Max("loss")}
        rows = self.annotate(part=F("step") / width).values("part").annotate(**means, **extremes).order_by("part")
        parts: list[dict[str, Any]] = [dict(row) for row in rows]
        return [
            {
                "step": part["last_step"],
                **{name: part[f"mean_{name}"] for name in NUMBERS},
                "loss_low": part["loss_low"],
                "loss_high": part["loss_high"],
            }
            for part in parts
        ]


class TunePoint(models.Model):
    """The numbers of one step. Steps that are trained again after a resumption take the place of those that were lost."""

    job = models.ForeignKey(TuneJob, on_delete=models.CASCADE, related_name="points")
    step = models.PositiveIntegerField()  # 0 is the base, before any training
    loss = models.FloatField(null=True)
    val_loss = models.FloatField(null=True)
    learning_rate = models.FloatField(null=True)
    grad_norm = models.FloatField(null=True)
    tokens_per_s = models.FloatField(null=True)
    memory_bytes = models.BigIntegerField(null=True)
    accuracy = models.FloatField(null=True)
    val_accuracy = models.FloatField(null=True)
    trained_tokens = models.BigIntegerField(default=0)

    objects = TunePointQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "step"], name="tune_point_once")]

    def __str__(self) -> str:
        return f"{self.job_id} at {self.step}: {self.loss}"


class TuneSample(models.Model):
    """What the model answered to one of the job's prompts after ``step`` steps; 0: the base."""

    job = models.ForeignKey(TuneJob, on_delete=models.CASCADE, related_name="samples")
    step = models.PositiveIntegerField()
    number = models.PositiveSmallIntegerField()  # of the prompt, from 0
    prompt = models.TextField()
    answer = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "step", "number"], name="tune_sample_once")]

    def __str__(self) -> str:
        return self.answer


class TuneCheckpoint(models.Model):
    """A place to go on from. ``release`` is set once somebody has called it."""

    job = models.ForeignKey(TuneJob, on_delete=models.CASCADE, related_name="checkpoints")
    public_id = models.CharField(max_length=40, unique=True, default=new_checkpoint_id, editable=False)
    step = models.PositiveIntegerField()
    trained_tokens = models.BigIntegerField()
    loss = models.FloatField(null=True)
    val_loss = models.FloatField(null=True)
    accuracy = models.FloatField(null=True)
    val_accuracy = models.FloatField(null=True)
    is_best = models.BooleanField(default=False)  # the lowest validation loss up to then
    release = models.ForeignKey(Release, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "step"], name="tune_checkpoint_once"),
            models.CheckConstraint(condition=Q(trained_tokens__gte=0), name="tune_checkpoint_sane"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} at {self.step}"

    @property
    def model_name(self) -> str:
        """What it is called by: the result's name, and the step."""
        return f"{self.job.model_name}:ckpt-step-{self.step}"


class TuneCheckpointFile(models.Model):
    """A file of a checkpoint: of the model, or of the state in which the training goes on."""

    checkpoint = models.ForeignKey(TuneCheckpoint, on_delete=models.CASCADE, related_name="files")
    path = models.CharField(max_length=200)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")
    is_model = models.BooleanField()  # else the state

    class Meta:
        constraints = [models.UniqueConstraint(fields=["checkpoint", "path"], name="tune_checkpoint_path_once")]

    def __str__(self) -> str:
        return self.path
