"""A run: one metered request, from its hold to its settlement."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User
from store.catalog.models import Listing, Price, Release
from store.keys.models import ApiKey
from store.ledger.models import Hold, SharesPlan
from store.runs.ids import first_id
from store.subscriptions.models import SubscriptionPeriod


class Gateway(models.Model):
    """A web process that has runs open, by its own word. One that is silent for long is dead: the reaper settles its runs."""

    id = models.UUIDField(primary_key=True)
    started_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(db_default=Now())
    steady_since = models.DateTimeField(db_default=Now())  # no heartbeat has been missing since
    suspected_at = models.DateTimeField(null=True)  # when the reaper first found it silent

    def __str__(self) -> str:
        return str(self.id)


class FreeUse(models.Model):
    """What an organization has used, and has open runs that may use, of a listing's free allowance in a month (UTC).

    Changed under the lock of the organization's credit wallet, as everything is that its runs spend.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    listing = models.ForeignKey(
        Listing, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    starts_on = models.DateField()  # the first day of the month
    used_nano = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "listing", "starts_on"], name="free_use_once"),
            models.CheckConstraint(condition=Q(used_nano__gte=0), name="free_use_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} of {self.listing_id} from {self.starts_on}: {self.used_nano}"


class RunStatus(models.TextChoices):
    OPEN = "open", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    CANCELLED = "cancelled", _("Cancelled")  # the client went away; what was made is charged
    FAILED = "failed", _("Failed")  # our fault: what was made is charged, nothing if nothing was


class Endpoint(models.TextChoices):
    CHAT = "chat", _("Chat")
    COMPLETION = "completion", _("Completion")
    EMBEDDING = "embedding", _("Embedding")
    PLAYGROUND = "playground", _("Playground")


CLOCKS_DIFFER = timedelta(hours=1)  # between the processes that make ids, at the very most


class RunQuerySet(models.QuerySet["Run"]):
    def visible_to(self, user: Any) -> RunQuerySet:
        """The runs that the user's organizations paid for."""
        return self.filter(organization__in=Organization.objects.visible_to(user))

    def newest_first(self) -> RunQuerySet:
        """By their ids, downwards, from now on: so that months to come and the default partition are left out, and those that remain
        follow each other. A LIMIT then reads the newest months alone."""
        return self.filter(id__lt=first_id(timezone.now() + CLOCKS_DIFFER)).order_by("-id")


class Run(models.Model):
    """A request that was accepted. Settled exactly once: the move away from OPEN is a compare-and-set.

    The table is partitioned by the months of its ids (``runs.actions.months``); what is asked with a range of ids reads only these.
    """

    id = models.UUIDField(primary_key=True)  # version 7: sorts by time
    # Most of these have no constraint in the database. Their rows cannot be deleted there (triggers keep wallets, holds, prices and
    # releases, whose own constraints keep organizations, listings and keys), and checking them again for every run would cost more
    # than the run. Their indexes are those below: nobody asks for the runs of a price.
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="runs"
    )
    user = models.ForeignKey(
        User, null=True, on_delete=models.PROTECT, db_index=False, related_name="+"
    )  # of the playground
    api_key = models.ForeignKey(
        ApiKey, null=True, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="runs"
    )
    listing = models.ForeignKey(
        Listing, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="runs"
    )
    release = models.ForeignKey(
        Release, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    price = models.ForeignKey(Price, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    # Has the run's id: so a constraint has it, and it is unique as the id is. There is no index on it.
    hold = models.OneToOneField(Hold, on_delete=models.PROTECT, db_constraint=False, related_name="run")
    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, db_index=False, related_name="runs")
    budget_uses = ArrayField(models.BigIntegerField(), default=list)  # ids of the BudgetUse rows that hold its amount
    # Of the free allowance: what the run may take while it is open, what it took when it has ended. It is not in the charge.
    free_nano = models.BigIntegerField(default=0)
    free_use = models.ForeignKey(
        FreeUse, null=True, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    # Of the tokens that a subscription's month includes: what it may take while it is open, what it took when it has ended.
    included_input = models.PositiveIntegerField(db_default=0)
    included_output = models.PositiveIntegerField(db_default=0)
    period = models.ForeignKey(
        SubscriptionPeriod, null=True, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    endpoint = models.CharField(max_length=12, choices=Endpoint)
    status = models.CharField(max_length=10, choices=RunStatus, default=RunStatus.OPEN)
    request_id = models.CharField(max_length=64)
    is_stream = models.BooleanField(default=False)
    commission_ppm = models.PositiveIntegerField()  # the platform's share of the charge, parts per million, at the hold
    shares = models.ForeignKey(  # how the charge is shared, at the hold; null: between the provider and the platform
        SharesPlan, null=True, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    prompt_tokens = models.PositiveIntegerField()
    max_tokens = models.PositiveIntegerField()  # what the hold affords
    output_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)
    charge_nano = models.BigIntegerField(default=0)
    finish_reason = models.CharField(max_length=10, blank=True)
    error_code = models.CharField(max_length=40, blank=True)
    attempts = models.PositiveSmallIntegerField(default=1)  # the highest epoch
    worker = models.CharField(max_length=120, blank=True)
    opened_at = models.DateTimeField(db_default=Now())
    first_token_ms = models.PositiveIntegerField(null=True)  # since opened_at
    settled_at = models.DateTimeField(null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(hold=F("id")), name="run_hold_has_its_id")]
        indexes = [
            models.Index(fields=["gateway"], condition=Q(status="open"), name="run_open"),
            models.Index(fields=["organization", "-id"], name="run_of_organization"),
            models.Index(fields=["api_key", "-id"], name="run_of_key"),
            models.Index(fields=["listing", "-id"], name="run_of_listing"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Replay(models.Model):
    """The answer to a request that came with an Idempotency-Key: the same request again is answered from here."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    body_sha256 = models.BinaryField(max_length=32)  # of the parsed body, canonical
    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="replay")
    chunks = models.BinaryField(null=True)  # inference.wire.encode_chunks of the whole answer; null while it runs
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "key", "api_key"], name="replay_once", nulls_distinct=False)
        ]
        indexes = [models.Index(fields=["created_at"], name="replay_age")]

    def __str__(self) -> str:
        return self.key
