"""What was used, as people look at it and are told of it. All of it is made from runs and trainings, and can be made again."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User
from store.catalog.models import Listing
from store.keys.models import ApiKey, BudgetUse
from store.usage.fields import HistogramField


class Grain(models.TextChoices):
    HOUR = "hour", _("by the hour")
    DAY = "day", _("by the day")


class Kind(models.TextChoices):
    """What was done: the endpoint of a run, or a training."""

    CHAT = "chat", _("Chat")
    COMPLETION = "completion", _("Completion")
    EMBEDDING = "embedding", _("Embedding")
    PLAYGROUND = "playground", _("Playground")
    TRAINING = "training", _("Training")


class Used(models.Model):
    """What was used in an hour or a day of UTC. Rows refer to what is never deleted, so the database checks no reference."""

    grain = models.CharField(max_length=4, choices=Grain)
    starts_at = models.DateTimeField()
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    member = models.ForeignKey(  # who made the key, played, or asked for the training
        User, null=True, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    api_key = models.ForeignKey(
        ApiKey, null=True, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    listing = models.ForeignKey(
        Listing, null=True, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    kind = models.CharField(max_length=12, choices=Kind)
    calls = models.BigIntegerField()  # runs: succeeded, cancelled by the client, failed
    trainings = models.BigIntegerField()
    failed = models.BigIntegerField()  # of both
    input_tokens = models.BigIntegerField()  # not cached; of runs that were charged or made a token
    cached_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    training_tokens = models.BigIntegerField()  # charged
    charge_nano = models.BigIntegerField()
    first_token_ms = HistogramField()

    class Meta:
        abstract = True


class UsageBucket(Used):
    """What one member of an organization did by one key with one listing.

    A run is in the hour in which it was opened, once it has ended; a training in the hour in which it ended. What refers to nothing is
    null: no key in the playground, no listing where a model is trained from nothing.
    """

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "grain", "starts_at", "listing", "api_key", "member", "kind"],
                name="usage_bucket_once",
                nulls_distinct=False,
            )
        ]
        indexes = [models.Index(fields=["grain", "starts_at"], name="usage_bucket_time")]

    def __str__(self) -> str:
        return f"{self.organization_id} in the {self.grain} {self.starts_at}: {self.kind}"


class Dimension(models.TextChoices):
    """What the rows of a slice are told apart by, beside time and organization."""

    NONE = "none", _("everything together")
    LISTING = "listing", _("by model")
    KEY = "key", _("by key")
    MEMBER = "member", _("by member")
    KIND = "kind", _("by kind")


class UsageSlice(Used):
    """The buckets of an organization summed by one dimension, or all together: what most questions ask, in a few rows.

    Of its dimension a row has the value, null as in the buckets where it refers to nothing. The other columns are null, and ``kind`` is empty.
    """

    dimension = models.CharField(max_length=7, choices=Dimension)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "dimension", "grain", "starts_at", "listing", "api_key", "member", "kind"],
                name="usage_slice_once",
                nulls_distinct=False,
            )
        ]
        indexes = [models.Index(fields=["grain", "starts_at"], name="usage_slice_time")]

    def __str__(self) -> str:
        return f"{self.organization_id} in the {self.grain} {self.starts_at}, {self.dimension}"


class CountedHour(models.Model):
    """An hour (UTC) that was counted. Once it is final, nothing can be added to it, and it is not counted again by the clock."""

    hour = models.DateTimeField(primary_key=True)  # its begin
    is_final = models.BooleanField()
    counted_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["hour"], condition=Q(is_final=False), name="counted_hour_open")]

    def __str__(self) -> str:
        return f"{self.hour}: {'final' if self.is_final else 'open'}"


class BudgetAlert(models.Model):
    """Somebody was told of a budget: once for each period, threshold and limit. ``percent`` null: that it refuses."""

    use = models.ForeignKey(BudgetUse, on_delete=models.CASCADE, related_name="alerts")
    percent = models.PositiveSmallIntegerField(null=True)  # of the limit, that was spent
    limit_nano = models.BigIntegerField()
    spent_nano = models.BigIntegerField()  # what is held is not in it
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("budget alert")
        verbose_name_plural = _("budget alerts")
        constraints = [
            models.UniqueConstraint(
                fields=["use", "percent", "limit_nano"], name="budget_alert_once", nulls_distinct=False
            ),
            models.CheckConstraint(condition=Q(spent_nano__gte=0, limit_nano__gte=0), name="budget_alert_sane"),
        ]

    def __str__(self) -> str:
        return f"{self.use_id}: {self.percent or 'refuses'}"
