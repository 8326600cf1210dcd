"""What the books were found to be, each time that they were proven."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import User


class AuditSource(models.TextChoices):
    BOOKS = "books", _("The books")  # against themselves
    STRIPE = "stripe", _("Stripe")  # against the books


class AuditRun(models.Model):
    """One proof of the books, at night or when somebody asked for it."""

    source = models.CharField(max_length=6, choices=AuditSource)
    asked_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")  # null: the clock
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)
    findings = models.PositiveIntegerField(null=True)  # how many mismatches there were; null: it has not ended
    error = models.CharField(max_length=500, blank=True)  # why it could not be made

    class Meta:
        verbose_name = _("audit")
        verbose_name_plural = _("audits")
        indexes = [models.Index(fields=["source", "-id"], name="audit_newest")]

    def __str__(self) -> str:
        return f"{self.get_source_display()}, {self.started_at:%Y-%m-%d %H:%M}"


class AuditFinding(models.Model):
    """A row that does not match, from the audit that found it first until one that does not find it any more."""

    source = models.CharField(max_length=6, choices=AuditSource)
    law = models.CharField(_("law"), max_length=100)
    row = models.CharField(_("row"), max_length=300)
    expected = models.TextField()
    found = models.TextField()
    remedy = models.TextField(_("what to do"))
    first_run = models.ForeignKey(AuditRun, on_delete=models.PROTECT, related_name="new_findings")
    last_run = models.ForeignKey(AuditRun, on_delete=models.PROTECT, related_name="last_findings")
    resolved_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        constraints = [
            models.UniqueConstraint(
                fields=["source", "law", "row"], condition=Q(resolved_at=None), name="finding_open_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.law}: {self.row}"
