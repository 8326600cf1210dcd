"""The moderators' queue for those who work in the admin: each action is the verb that the pages call, with a reason."""

# mypy: disallow-subclassing-any=False
# (the packages subclassed here come without types)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy, ngettext
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminTextInputWidget

from store.accounts.models import User
from store.catalog.models import Listing, Submission
from store.errors import StoreError
from store.moderation import actions
from store.moderation.models import Appeal, Decision, Report
from store.staff.read_only import ReadOnlyAdmin


class ReasonForm(ActionForm):
    """What is done to the chosen rows, and why: the reason is told to the provider."""

    reason = forms.CharField(
        required=False, label="", widget=UnfoldAdminTextInputWidget(attrs={"placeholder": gettext_lazy("Reason")})
    )


class ModeratedAdmin(ReadOnlyAdmin):
    """Rows that nobody edits, and that moderators decide on many at a time."""

    action_form = ReasonForm

    def decide(self, request: HttpRequest, verb: Callable[..., int], **rows: Any) -> None:
        """Calls a verb for many, and says what came of it."""
        moderator = request.user
        assert isinstance(moderator, User)
        try:
            count = verb(**rows, moderator=moderator, reason=request.POST.get("reason", ""))
        except StoreError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            said = ngettext("%(count)d was decided.", "%(count)d were decided.", count) % {"count": count}
            self.message_user(request, said, messages.SUCCESS)


@admin.register(Submission)
class SubmissionAdmin(ModeratedAdmin):
    list_display = ("listing", "status", "release", "attempts", "created_by", "created_at", "updated_at")
    list_filter = ("status", "created_at")
    list_select_related = ("listing__organization", "release", "created_by")
    search_fields = ("listing__slug", "listing__organization__slug")
    ordering = ("-id",)
    actions = ("approve", "decline")

    @admin.action(description=gettext_lazy("Approve those in review"))
    def approve(self, request: HttpRequest, rows: QuerySet[Submission]) -> None:
        self.decide(request, actions.approve_all, submissions=rows)

    @admin.action(description=gettext_lazy("Decline those in review"))
    def decline(self, request: HttpRequest, rows: QuerySet[Submission]) -> None:
        self.decide(request, actions.decline_all, submissions=rows)


@admin.register(Report)
class ReportAdmin(ModeratedAdmin):
    list_display = ("listing", "reason", "status", "reporter", "created_at", "decided_at")
    list_filter = ("status", "reason", "created_at")
    list_select_related = ("listing__organization", "reporter")
    search_fields = ("text", "reporter__email", "listing__slug", "listing__organization__slug")
    ordering = ("-id",)
    actions = ("dismiss", "suspend")

    @admin.action(description=gettext_lazy("Dismiss"))
    def dismiss(self, request: HttpRequest, rows: QuerySet[Report]) -> None:
        self.decide(request, actions.dismiss_reports, reports=rows)

    @admin.action(description=gettext_lazy("Suspend the models"))
    def suspend(self, request: HttpRequest, rows: QuerySet[Report]) -> None:
        self.decide(request, actions.suspend_listings, listings=Listing.objects.filter(reports__in=rows).distinct())


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    list_display = ("listing", "action", "moderator", "reason", "created_at")
    list_filter = ("action", "created_at")
    list_select_related = ("listing__organization", "moderator")
    search_fields = ("reason", "moderator__email", "listing__slug", "listing__organization__slug")
    ordering = ("-id",)


@admin.register(Appeal)
class AppealAdmin(ReadOnlyAdmin):
    list_display = ("decision", "status", "created_by", "created_at", "answered_by", "answered_at")
    list_filter = ("status", "created_at")
    list_select_related = ("decision__listing__organization", "created_by", "answered_by")
    search_fields = ("text", "decision__listing__slug")
    ordering = ("-id",)
