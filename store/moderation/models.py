"""What people report, what moderators decide, and what providers answer to that."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User
from store.catalog.models import Listing, ListingStatus, Submission


class ReportReason(models.TextChoices):
    ILLEGAL = "illegal", _("Illegal content")
    LICENCE = "licence", _("Breaks a licence or copyright")
    MISLEADING = "misleading", _("Is not what it says it is")
    MALICIOUS = "malicious", _("Malicious or unsafe")
    PERSONAL_DATA = "personal_data", _("Gives away personal data")
    SPAM = "spam", _("Spam")
    OTHER = "other", _("Something else")


class ReportStatus(models.TextChoices):
    OPEN = "open", _("Open")
    UPHELD = "upheld", _("Upheld")  # something was done about it
    DISMISSED = "dismissed", _("Dismissed")


class ReportQuerySet(models.QuerySet["Report"]):
    def waiting(self) -> ReportQuerySet:
        """What moderators have to look at, the oldest first."""
        return self.filter(status=ReportStatus.OPEN).select_related("listing__organization", "reporter").order_by("id")


class Report(models.Model):
    """A person says that something is wrong with a listing. One is open for each person and listing."""

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="reports")
    reporter = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(_("reason"), max_length=14, choices=ReportReason)
    text = models.TextField(_("what is wrong"), max_length=4000)
    status = models.CharField(max_length=10, choices=ReportStatus, default=ReportStatus.OPEN)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    decided_at = models.DateTimeField(null=True)

    objects = ReportQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["listing", "reporter"], condition=Q(status="open"), name="report_open_once")
        ]
        indexes = [
            models.Index(fields=["status", "id"], name="report_by_status"),
            models.Index(fields=["reporter", "-created_at"], name="report_of_reporter"),
        ]

    def __str__(self) -> str:
        return f"{self.listing_id}: {self.reason}"


class Action(models.TextChoices):
    SUSPEND = "suspend", _("Suspended")
    LIFT = "lift", _("Suspension lifted")
    APPROVE = "approve", _("Submission approved")
    DECLINE = "decline", _("Submission declined")
    DISMISS = "dismiss", _("Report dismissed")
    GRANT_APPEAL = "grant_appeal", _("Appeal granted")
    REJECT_APPEAL = "reject_appeal", _("Appeal rejected")


class DecisionQuerySet(models.QuerySet["Decision"]):
    def of_listing(self, listing: Listing) -> DecisionQuerySet:
        """What was decided about a listing, the newest first."""
        return self.filter(listing=listing).select_related("moderator").order_by("-id")


class Decision(models.Model):
    """What a moderator did, and why. The rows are the audit trail: a trigger refuses to change or delete one."""

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="decisions")
    moderator = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=14, choices=Action)
    reason = models.TextField(blank=True)
    status_before = models.CharField(
        max_length=12, choices=ListingStatus
    )  # of the listing: where lifting leads back to
    report = models.ForeignKey(Report, null=True, on_delete=models.PROTECT, related_name="decisions")
    submission = models.ForeignKey(Submission, null=True, on_delete=models.PROTECT, related_name="decisions")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = DecisionQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["listing", "-id"], name="decision_of_listing")]

    def __str__(self) -> str:
        return f"{self.listing_id}: {self.action}"


class AppealStatus(models.TextChoices):
    OPEN = "open", _("Waits for an answer")
    GRANTED = "granted", _("Granted")
    REJECTED = "rejected", _("Rejected")


class AppealQuerySet(models.QuerySet["Appeal"]):
    def waiting(self) -> AppealQuerySet:
        """What moderators have to answer, the oldest first."""
        related = ("decision__listing__organization", "created_by")
        return self.filter(status=AppealStatus.OPEN).select_related(*related).order_by("id")

    def visible_to(self, user: Any) -> AppealQuerySet:
        """Those of the user's own organizations."""
        return self.filter(decision__listing__organization__in=Organization.objects.visible_to(user))


class Appeal(models.Model):
    """A provider asks for a suspension or a refusal to be looked at again. Once for each decision."""

    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="appeal")
    text = models.TextField(_("why it should be looked at again"), max_length=4000)
    status = models.CharField(max_length=8, choices=AppealStatus, default=AppealStatus.OPEN)
    answer = models.TextField(blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    answered_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    answered_at = models.DateTimeField(null=True)

    objects = AppealQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["status", "id"], name="appeal_by_status")]

    def __str__(self) -> str:
        return f"{self.decision_id}: {self.status}"
