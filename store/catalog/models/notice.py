"""What people are told by mail. The row is the outbox: ``sent_at`` is null while it is due."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import User


class NoticeKind(models.TextChoices):
    """Each has a text of its own: ``templates/mail/<kind>.txt``."""

    REJECTED = "rejected", _("Checks found problems")
    UNFIT = "unfit", _("Model does not answer")
    READY = "ready", _("Ready to publish")
    IN_REVIEW = "in_review", _("In review")
    APPROVED = "approved", _("Approved")
    DECLINED = "declined", _("Declined")
    SUSPENDED = "suspended", _("Suspended")
    LIFTED = "lifted", _("Suspension lifted")
    APPEAL_ANSWERED = "appeal_answered", _("Appeal answered")
    DEPRECATED = "deprecated", _("Deprecated")
    PRICE_CHANGE = "price_change", _("Price change")
    PRICE_KEPT = "price_kept", _("Price change taken back")
    ACCESS_ASKED = "access_asked", _("Access asked for")
    ACCESS_GRANTED = "access_granted", _("Access granted")
    ACCESS_REFUSED = "access_refused", _("Access refused")
    TUNED = "tuned", _("Training has succeeded")
    TUNE_FAILED = "tune_failed", _("Training has failed")
    PAYOUT_PAID = "payout_paid", _("Payout has arrived")
    PAYOUT_FAILED = "payout_failed", _("Payout has not arrived")
    PAYOUT_ACCOUNT = "payout_account", _("Payouts are stopped")
    SUBSCRIPTION_PAST_DUE = "sub_past_due", _("Subscription not paid")
    SUBSCRIPTION_ENDED = "sub_ended", _("Subscription ended")
    BUDGET_REACHED = "budget_reached", _("Budget is being spent")
    BUDGET_REFUSES = "budget_refuses", _("Budget refuses calls")


class Notice(models.Model):
    """A mail to one person. ``context`` is what the text is about: plain strings, as they were when it happened."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16, choices=NoticeKind)
    context = models.JSONField(default=dict)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())  # not before: a sender that has it in hand moves this on
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["due_at"], condition=Q(sent_at=None), name="notice_due")]

    def __str__(self) -> str:
        return f"{self.kind} to {self.user_id}"
