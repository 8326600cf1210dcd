"""A job: one training, from its quote to the release that comes of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Value, Window
from django.db.models.functions import Coalesce, Now, RowNumber
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User
from store.catalog.models import Listing, Price, Release
from store.keys.models import ApiKey
from store.ledger.models import Hold, SharesPlan
from store.tuning.models.files import DataFile
from store.tuning.models.public_ids import new_id

NAME_ID_CHARS = 8  # of a job's id, in the name of what comes of it


class JobStatus(models.TextChoices):
    """OpenAI's words."""

    VALIDATING = "validating_files", _("Validating files")  # its tokens are being counted; nothing is held yet
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    PAUSED = "paused", _("Paused")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


OPEN_JOB = (JobStatus.VALIDATING, JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.PAUSED)
ENDED_JOB = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


class TuneMethod(models.TextChoices):
    SUPERVISED = "supervised", _("Supervised")
    DPO = "dpo", _("Preference (DPO)")
    TEXT = "text", _("Continued pretraining")
    SCRATCH = "scratch", _("From scratch")


class Adaptation(models.TextChoices):
    LORA = "lora", _("Adapter (LoRA)")
    QLORA = "qlora", _("Adapter on a quantized base (QLoRA)")
    FULL = "full", _("All weights")


class Wanted(models.TextChoices):
    """What a worker that has the job in hand is told."""

    RUN = "run", _("Go on")
    PAUSE = "pause", _("Pause")
    CANCEL = "cancel", _("Stop")


def new_job_id() -> str:
    """``ftjob-…``"""
    return new_id("ftjob-")


class TuneJobQuerySet(models.QuerySet["TuneJob"]):
    def visible_to(self, user: Any) -> TuneJobQuerySet:
        """The jobs of the user's organizations."""
        return self.filter(organization__in=Organization.objects.visible_to(user))

    def full(self) -> TuneJobQuerySet:
        """With everything that a page or an answer shows of a job."""
        return self.select_related(
            "organization", "created_by", "base__listing__organization", "training_file", "validation_file", "hold",
            "result_listing__organization", "result_release", "result_file",
        )  # fmt: skip

    def matching(
        self, *, organization: str = "", status: str = "", method: str = "", base: str = ""
    ) -> TuneJobQuerySet:
        """Those of an organization's slug, a status, a method, a base's full name; "" is any."""
        found = self
        if organization:
            found = found.filter(organization__slug=organization)
        if status:
            found = found.filter(status=status)
        if method:
            found = found.filter(method=method)
        if base:
            owner, _slash, slug = base.partition("/")
            found = found.filter(base__listing__organization__slug=owner, base__listing__slug=slug)
        return found

    def in_hand(self) -> TuneJobQuerySet:
        """Those that a worker has, or that are on their way to one."""
        return self.filter(lease_until__gt=Now())

    def overdue(self) -> TuneJobQuerySet:
        """Those whose worker has been silent for too long."""
        return self.filter(lease_until__lte=Now())

    def in_line(self) -> TuneJobQuerySet:
        """The queue, the next one first: organizations take turns, and what an organization has in hand counts as turns taken."""
        own = TuneJob.objects.filter(organization=OuterRef("organization")).in_hand()
        busy = own.order_by().values("organization").annotate(count=Count("pk")).values("count")
        nth = Window(RowNumber(), partition_by=F("organization_id"), order_by=F("id").asc())
        waiting = self.filter(status=JobStatus.QUEUED, lease_until=None)
        turn = nth + Coalesce(Subquery(busy), Value(0))
        return waiting.annotate(turn=turn).order_by("turn", "id")


class TuneJob(models.Model):
    """A training that was asked for. What it may cost is held before it is queued; it is settled exactly once.

    ``lease_until`` is null while nobody has the job. Whoever has it works under ``attempts`` as its epoch: reports of an older one
    are not heard. ``trained_tokens`` is what would be charged if the job were cancelled now: what the newest attempt says it has
    trained, or what the newest checkpoint holds once that attempt is lost.
    """

    public_id = models.CharField(max_length=40, unique=True, default=new_job_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="tune_jobs")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.PROTECT, related_name="+")
    base = models.ForeignKey(
        Release, null=True, on_delete=models.PROTECT, related_name="tune_jobs"
    )  # null: from scratch
    status = models.CharField(max_length=16, choices=JobStatus, default=JobStatus.VALIDATING)
    wanted = models.CharField(max_length=6, choices=Wanted, default=Wanted.RUN)
    method = models.CharField(max_length=10, choices=TuneMethod, default=TuneMethod.SUPERVISED)
    adaptation = models.CharField(max_length=5, choices=Adaptation, default=Adaptation.LORA)
    asked = models.JSONField(default=dict)  # hyperparameters as they were given; what is missing is "auto"
    hyper = models.JSONField(default=dict)  # inference.wire.Hyper: every value, once the tokens are counted
    shape = models.JSONField(default=dict)  # from scratch: as it was given, then inference.wire.ScratchConfig
    training_file = models.ForeignKey(DataFile, on_delete=models.PROTECT, related_name="trains")
    validation_file = models.ForeignKey(DataFile, null=True, on_delete=models.PROTECT, related_name="validates")
    sample_prompts = models.JSONField(default=list)  # answered at each evaluation
    suffix = models.CharField(max_length=64, blank=True)
    model_name = models.CharField(
        max_length=250, unique=True
    )  # what the result is called by: "ft:acme/bard:team:suffix:id"
    metadata = models.JSONField(default=dict)
    # The money. A price that changes later changes nothing here.
    price = models.ForeignKey(Price, null=True, on_delete=models.PROTECT, related_name="+")  # null: from scratch
    price_nano = models.BigIntegerField()  # nano-dollars per million tokens trained
    commission_ppm = models.PositiveIntegerField()  # the platform's share of the charge, parts per million, at the hold
    shares = models.ForeignKey(  # null: nobody has a share but the base's provider and the platform
        SharesPlan, null=True, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    hold = models.OneToOneField(Hold, null=True, on_delete=models.PROTECT, db_constraint=False, related_name="tune_job")
    budget_uses = ArrayField(models.BigIntegerField(), default=list)  # ids of the BudgetUse rows that hold its amount
    quote_tokens = models.BigIntegerField(default=0)  # the most that may be trained: what is held is their price
    trained_tokens = models.BigIntegerField(default=0)
    charged_tokens = models.BigIntegerField(default=0)
    charge_nano = models.BigIntegerField(default=0)
    # The work.
    attempts = models.PositiveIntegerField(default=0)  # the epoch: the newest attempt is heard, the others are not
    fruitless = models.PositiveSmallIntegerField(
        default=0
    )  # attempts that ended without a new checkpoint, one after the other
    lease_until = models.DateTimeField(null=True)
    heard = models.BooleanField(default=False)  # the newest attempt has reported
    stage = models.CharField(max_length=200, blank=True)  # what it does now, for people
    step = models.PositiveIntegerField(default=0)
    steps = models.PositiveIntegerField(default=0)  # 0: not known yet
    epoch_done = models.FloatField(default=0)  # passes over the data
    eta_at = models.DateTimeField(null=True)
    notes = models.JSONField(default=list)  # the worker's sentences for the owner
    perplexity_before = models.FloatField(null=True)  # on what was held out
    perplexity_after = models.FloatField(null=True)
    best_step = models.PositiveIntegerField(null=True)
    # The end.
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    error_param = models.CharField(max_length=60, blank=True)
    result_listing = models.ForeignKey(Listing, null=True, on_delete=models.PROTECT, related_name="tune_jobs")
    result_release = models.ForeignKey(Release, null=True, on_delete=models.PROTECT, related_name="+")
    result_file = models.ForeignKey(DataFile, null=True, on_delete=models.PROTECT, related_name="+")  # the metrics, CSV
    replay_key = models.CharField(max_length=255, blank=True)  # Idempotency-Key
    replay_sha256 = models.BinaryField(max_length=32, null=True)  # of what came with it
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = TuneJobQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "replay_key"], condition=~Q(replay_key=""), name="tune_job_replay_once"
            ),
            models.CheckConstraint(
                condition=Q(price_nano__gte=0, quote_tokens__gte=0, trained_tokens__gte=0, charge_nano__gte=0)
                & Q(charged_tokens__gte=0, charged_tokens__lte=F("quote_tokens")),
                name="tune_job_sane",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["validating_files", "failed", "cancelled"]) | Q(hold__isnull=False),
                name="tune_job_held_before_it_runs",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-id"], name="tune_job_newest"),
            models.Index(
                fields=["status", "id"],
                condition=Q(status__in=["validating_files", "queued", "running", "paused"]),
                name="tune_job_open",
            ),
            models.Index(fields=["lease_until"], condition=Q(lease_until__isnull=False), name="tune_job_lease"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def base_listing(self) -> Listing | None:
        """What it is trained from; None from scratch."""
        return self.base.listing if self.base else None

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_JOB

    @property
    def held_nano(self) -> int:
        """What is set aside for it, at most."""
        return self.hold.amount_nano if self.hold and self.is_open else 0

    @property
    def deadline(self) -> datetime | None:
        """By then it has ended, one way or another."""
        return self.hold.expires_at if self.hold else None

    def position(self) -> int | None:
        """Its place in the queue, from 1; None where it is not in it."""
        ids = list(TuneJob.objects.all().in_line().values_list("pk", flat=True))
        return ids.index(self.pk) + 1 if self.pk in ids else None


def unfinished_with(file: DataFile) -> QuerySet[TuneJob]:
    """The jobs that still need a file."""
    return TuneJob.objects.filter(Q(training_file=file) | Q(validation_file=file), status__in=OPEN_JOB)
