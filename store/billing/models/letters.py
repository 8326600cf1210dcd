"""Mails about money, on their way out."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Letter(models.Model):
    """A mail: the row is its outbox. ``key`` says what it is about, so that nobody is told the same twice."""

    key = models.CharField(max_length=120)
    address = models.EmailField()
    template = models.CharField(max_length=40)  # mail/<template>.txt: its first line is the subject
    context = models.JSONField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "address"], name="letter_once")]
        indexes = [models.Index(fields=["due_at"], condition=Q(sent_at=None), name="letter_due")]

    def __str__(self) -> str:
        return f"{self.key} to {self.address}"
