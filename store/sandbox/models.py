"""What the sandbox remembers: in Postgres, so that a restart forgets nothing. None of it is the store's own: it is what Stripe would hold."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone


class StripeObject(models.Model):
    """An object as Stripe's API shows it. ``number`` orders those of one second; ``secret`` is what the API never shows (a card's number)."""

    id = models.CharField(primary_key=True, max_length=80)
    number = models.BigIntegerField(unique=True)
    kind = models.CharField(max_length=60)  # of a connected account: <account>/<kind>
    data = models.JSONField()
    secret = models.CharField(max_length=40, blank=True)
    created = models.BigIntegerField()  # unix time

    class Meta:
        indexes = [models.Index(fields=["kind", "-number"], name="sandbox_newest_first")]

    def __str__(self) -> str:
        return self.id


class Delivery(models.Model):
    """An event on its way to the store's webhook; sent again, later each time, until the store answers 2xx."""

    event = models.ForeignKey(StripeObject, on_delete=models.CASCADE, related_name="deliveries")
    due_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)
    last_answer = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["due_at"], condition=Q(delivered_at=None), name="sandbox_delivery_due")]

    def __str__(self) -> str:
        return f"{self.event_id} after {self.attempts} attempts"


class IdempotentAnswer(models.Model):
    """What a request with an Idempotency-Key was answered; asked again with the same parameters, it is the answer."""

    key = models.CharField(primary_key=True, max_length=255)
    fingerprint = models.CharField(max_length=64)  # of method, path and parameters
    status = models.PositiveIntegerField()
    body = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.key


class Fault(models.Model):
    """Trouble for the next ``remaining`` requests whose method and path match."""

    kind = models.CharField(max_length=20)
    method = models.CharField(max_length=8, blank=True)
    prefix = models.CharField(max_length=200, blank=True)
    remaining = models.PositiveIntegerField(default=1)
    delay_s = models.FloatField(default=0.0)

    def __str__(self) -> str:
        return f"{self.remaining} × {self.kind} {self.method} {self.prefix}"
