"""Where events are sent, the events, and how each came to each."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User
from store.webhooks.event_types import MAX_NAME

ID_BYTES = 12
MAX_URL, MAX_DESCRIPTION = 2000, 200
KEPT_CHARS = 500  # of what a receiver answers


def new_event_id() -> str:
    """``evt_`` and 24 hex digits: by it a receiver knows an event that comes twice."""
    return f"evt_{secrets.token_hex(ID_BYTES)}"


class DisabledReason(models.TextChoices):
    BY_HAND = "by_hand", _("Switched off by a member")
    GONE = "gone", _("It answered 410 Gone")
    FAILING = "failing", _("It took nothing for three days")


class Notice(models.TextChoices):
    """What the owners are told by mail."""

    DISABLED = "webhook_disabled", _("Disabled")
    UNDELIVERED = "webhook_undelivered", _("An event could not be delivered")


class WebhookEndpointQuerySet(models.QuerySet["WebhookEndpoint"]):
    def visible_to(self, user: Any) -> WebhookEndpointQuerySet:
        """Those of the user's organizations."""
        return self.filter(organization__in=Organization.objects.visible_to(user))

    def listening_to(self, event_type: str) -> WebhookEndpointQuerySet:
        """Those that are enabled and want events of this type."""
        return self.filter(Q(event_types=[]) | Q(event_types__contains=[event_type]), disabled_at=None)


class WebhookEndpoint(models.Model):
    """An address of an organization's own, to which events are posted, signed with a secret that it knows."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="webhook_endpoints")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    url = models.CharField(_("address"), max_length=MAX_URL)
    description = models.CharField(_("description"), max_length=MAX_DESCRIPTION, blank=True)
    event_types = ArrayField(models.CharField(max_length=MAX_NAME), default=list, blank=True)  # empty: all
    sealed_secret = models.TextField(editable=False)  # see store.webhooks.sealing
    old_sealed_secret = models.TextField(blank=True, editable=False)  # of the secret before a rotation
    old_until = models.DateTimeField(null=True, editable=False)  # both sign until then
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    enabled_at = models.DateTimeField(db_default=Now(), editable=False)
    disabled_at = models.DateTimeField(null=True, editable=False)
    disabled_reason = models.CharField(max_length=8, choices=DisabledReason, blank=True, editable=False)
    free_at = models.DateTimeField(db_default=Now(), editable=False)  # one delivery at a time; who hangs rests
    rest_s = models.PositiveIntegerField(default=0, editable=False)  # after the last time-out; doubles with each
    tried_at = models.DateTimeField(null=True, editable=False)
    succeeded_at = models.DateTimeField(null=True, editable=False)
    notice = models.CharField(max_length=20, choices=Notice, blank=True, editable=False)  # a mail that waits
    notice_due_at = models.DateTimeField(null=True, editable=False)
    undelivered_told_at = models.DateTimeField(null=True, editable=False)

    objects = WebhookEndpointQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        constraints = [
            models.CheckConstraint(
                condition=Q(disabled_at=None, disabled_reason="")
                | Q(disabled_at__isnull=False) & ~Q(disabled_reason=""),
                name="webhook_disabled_for_a_reason",
            )
        ]
        indexes = [
            models.Index(fields=["notice_due_at"], condition=Q(notice_due_at__isnull=False), name="webhook_notice_due")
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def signs_twice(self) -> bool:
        """Whether the secret before the last rotation still signs, besides the new one."""
        return self.old_until is not None and self.old_until > timezone.now()


class WebhookEvent(models.Model):
    """Something that happened, as it was when it did. Kept for EVENT_DAYS, and only where somebody listened."""

    public_id = models.CharField(max_length=32, unique=True, default=new_event_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="webhook_events")
    type = models.CharField(max_length=MAX_NAME)
    data = models.JSONField()
    created_at = models.DateTimeField(db_default=Now(), db_index=True, editable=False)

    class Meta:
        verbose_name = _("webhook event")
        verbose_name_plural = _("webhook events")

    def __str__(self) -> str:
        return f"{self.public_id} {self.type}"


class DeliveryStatus(models.TextChoices):
    PENDING = "pending", _("Waiting")
    DELIVERED = "delivered", _("Delivered")
    DEAD = "dead", _("Given up")


class Delivery(models.Model):
    """One event on its way to one endpoint: the outbox. Under way it is due again when its worker must have died."""

    event = models.ForeignKey(WebhookEvent, on_delete=models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    status = models.CharField(max_length=9, choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    attempts = models.PositiveIntegerField(default=0)  # in all; an answer counts for the newest only
    retries = models.PositiveSmallIntegerField(default=0)  # since it was first sent, or sent again by hand
    due_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    tried_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    response_status = models.PositiveSmallIntegerField(null=True)
    response_start = models.CharField(max_length=KEPT_CHARS, blank=True)
    error = models.CharField(max_length=300, blank=True)
    duration_ms = models.PositiveIntegerField(null=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = [models.UniqueConstraint(fields=["event", "endpoint"], name="delivery_once")]
        indexes = [
            models.Index(fields=["endpoint", "due_at"], condition=Q(status="pending"), name="delivery_due"),
            models.Index(fields=["endpoint", "-id"], name="delivery_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.endpoint_id}"

    @property
    def is_due(self) -> bool:
        """Whether its next attempt is a matter of moments."""
        return self.status == DeliveryStatus.PENDING and self.due_at <= timezone.now()
