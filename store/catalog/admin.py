"""What is for sale. A release and a price never change; a listing's words and standing may."""

# mypy: disallow-subclassing-any=False
# (the packages subclassed here come without types)

from __future__ import annotations

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminTextInputWidget

from store.accounts.models import User
from store.catalog.actions import set_commission, withdraw_commission
from store.catalog.commission_form import PPM_PER_PERCENT, CommissionForm
from store.catalog.models import (
    AccessRequest,
    Blob,
    CommissionRule,
    CommissionStanding,
    Commit,
    CommitFile,
    Conversion,
    ImportJob,
    Listing,
    Measurement,
    Notice,
    Price,
    PriceAnnouncement,
    Ref,
    Release,
    ReleaseFile,
    RoyaltyTerm,
)
from store.errors import StoreError
from store.ledger.admin import in_dollars
from store.staff.read_only import ReadOnlyAdmin, ReadOnlyInline


class ReleaseInline(ReadOnlyInline):
    model = Release
    fk_name = "listing"
    fields = ("number", "digest", "architecture", "parameters", "size", "created_at")


class PriceInline(ReadOnlyInline):
    model = Price
    fields = ("input_nano", "cached_input_nano", "output_nano", "request_nano", "free_nano", "starts_at", "created_by")
    ordering = ("-starts_at",)


class FileInline(ReadOnlyInline):
    model = ReleaseFile
    fields = ("path", "blob")


class CommitFileInline(ReadOnlyInline):
    model = CommitFile
    fields = ("path", "blob")


class MeasurementInline(ReadOnlyInline):
    model = Measurement
    fields = ("status", "perplexity", "ttft_ms", "tokens_per_s_8", "hardware", "measured_at")


@admin.register(Listing)
class ListingAdmin(ModelAdmin):
    list_display = ("name", "title", "status", "is_private", "licence", "published_at")
    list_filter = ("status", "is_private", "licence", "created_at")
    list_select_related = ("organization",)
    search_fields = ("slug", "title", "summary", "organization__slug")
    readonly_fields = (
        "organization", "slug", "status", "status_reason", "current_release", "base", "base_relation", "created_at", "published_at",
        "deprecated_at", "shutdown_at", "deleted_at",
    )  # fmt: skip
    inlines = (PriceInline, ReleaseInline)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a listing begins with its repository

    def has_delete_permission(self, request: HttpRequest, obj: Listing | None = None) -> bool:
        return False  # runs and prices name it: withdraw or suspend instead


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin):
    list_display = ("listing", "number", "digest", "architecture", "parameters", "context_length", "size", "created_at")
    list_filter = ("architecture", "created_at")
    list_select_related = ("listing__organization",)
    search_fields = ("=digest", "listing__slug", "listing__organization__slug")
    inlines = (MeasurementInline, FileInline)


@admin.register(Price)
class PriceAdmin(ReadOnlyAdmin):
    list_display = (
        "listing",
        in_dollars("input_nano", _("input / 1M")),
        in_dollars("cached_input_nano", _("cached input / 1M")),
        in_dollars("output_nano", _("output / 1M")),
        in_dollars("request_nano", _("per request")),
        in_dollars("training_nano", _("training / 1M")),
        in_dollars("free_nano", _("free a month")),
        "derivatives_allowed",
        "royalty_ppm",
        "starts_at",
        "created_by",
    )
    list_filter = ("starts_at",)
    list_select_related = ("listing__organization", "created_by")
    search_fields = ("listing__slug", "listing__organization__slug")


class EndForm(ActionForm):
    """Why the chosen rules end."""

    reason = forms.CharField(
        required=False, label="", widget=UnfoldAdminTextInputWidget(attrs={"placeholder": _("Reason")})
    )


@admin.register(CommissionRule)
class CommissionRuleAdmin(ModelAdmin):
    """Rules are added, and end by a row of their own: the list is their history."""

    form = CommissionForm
    action_form = EndForm
    actions = ("end",)
    autocomplete_fields = ("provider",)
    list_display = (
        "name", "scope", "category", "provider", "share", "standing", "starts_at", "ends_at", "reason",
    )  # fmt: skip
    list_filter = ("scope", "category", "starts_at")
    list_select_related = ("provider", "created_by")
    search_fields = ("name", "reason", "provider__slug")
    ordering = ("-starts_at", "-id")

    @admin.display(description=_("commission"), ordering="ppm")
    def share(self, rule: CommissionRule) -> str:
        return "–" if rule.ppm is None else f"{rule.ppm / PPM_PER_PERCENT:g} %"

    @admin.display(description=_("standing"))
    def standing(self, rule: CommissionRule) -> str:
        return str(CommissionStanding(rule.standing).label)  # type: ignore[attr-defined]  # an annotation

    def get_queryset(self, request: HttpRequest) -> QuerySet[CommissionRule]:
        return CommissionRule.objects.with_standing().order_by(*self.ordering)

    def has_change_permission(self, request: HttpRequest, obj: CommissionRule | None = None) -> bool:
        return False  # runs were shared by it: a new rule takes its place

    def has_delete_permission(self, request: HttpRequest, obj: CommissionRule | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: CommissionRule, form: CommissionForm, change: bool) -> None:
        assert isinstance(request.user, User)
        obj.pk = set_commission(spec=form.spec(), user=request.user, reason=form.cleaned_data["reason"]).pk

    @admin.action(description=_("End: the next more general rule counts"), permissions=("add",))
    def end(self, request: HttpRequest, rows: QuerySet[CommissionRule]) -> None:
        assert isinstance(request.user, User)
        for rule in rows:
            try:
                withdraw_commission(rule=rule, user=request.user, reason=request.POST.get("reason", ""))
            except StoreError as error:
                self.message_user(request, f"{rule}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, gettext("%(rule)s has ended.") % {"rule": rule}, messages.SUCCESS)


@admin.register(RoyaltyTerm)
class RoyaltyTermAdmin(ReadOnlyAdmin):
    list_display = ("derivative", "base", "royalty_ppm", "derivatives_allowed", "is_trained", "inherited", "since")
    list_filter = ("is_trained", "since")
    list_select_related = ("derivative__organization", "base__organization", "inherited")
    search_fields = ("derivative__slug", "derivative__organization__slug", "base__slug", "base__organization__slug")
    ordering = ("-id",)


@admin.register(Blob)
class BlobAdmin(ReadOnlyAdmin):
    list_display = ("sha256", "size", "created_at")
    search_fields = ("=sha256",)


@admin.register(PriceAnnouncement)
class PriceAnnouncementAdmin(ReadOnlyAdmin):
    list_display = ("price", "created_at", "sent_at")
    list_filter = ("created_at",)
    list_select_related = ("price",)


@admin.register(Measurement)
class MeasurementAdmin(ReadOnlyAdmin):
    list_display = (
        "release", "status", "perplexity", "ttft_ms", "tokens_per_s_1", "tokens_per_s_8", "tokens_per_s_32", "hardware", "attempts",
        "measured_at",
    )  # fmt: skip
    list_filter = ("status", "measured_at")
    list_select_related = ("release",)
    search_fields = ("release__listing__slug", "release__listing__organization__slug", "=release__digest")
    ordering = ("-id",)


@admin.register(Commit)
class CommitAdmin(ReadOnlyAdmin):
    list_display = ("oid", "listing", "title", "size", "author", "created_at")
    list_select_related = ("listing__organization", "author")
    search_fields = ("=oid", "=digest", "listing__slug", "listing__organization__slug")
    inlines = (CommitFileInline,)
    ordering = ("-id",)


@admin.register(Ref)
class RefAdmin(ReadOnlyAdmin):
    list_display = ("listing", "kind", "name", "commit", "created_at")
    list_filter = ("kind",)
    list_select_related = ("listing__organization", "commit")
    search_fields = ("name", "listing__slug", "listing__organization__slug")


@admin.register(ImportJob)
class ImportJobAdmin(ReadOnlyAdmin):
    list_display = ("listing", "repo_id", "revision", "status", "done_bytes", "total_bytes", "attempts", "created_at")
    list_filter = ("status", "created_at")
    list_select_related = ("listing__organization",)
    search_fields = ("repo_id", "listing__slug", "listing__organization__slug")
    ordering = ("-id",)


@admin.register(Conversion)
class ConversionAdmin(ReadOnlyAdmin):
    list_display = ("listing", "base", "status", "progress", "attempts", "created_by", "created_at", "ended_at")
    list_filter = ("status", "created_at")
    list_select_related = ("listing__organization", "base", "created_by")
    search_fields = ("listing__slug", "listing__organization__slug")
    ordering = ("-id",)


@admin.register(AccessRequest)
class AccessRequestAdmin(ReadOnlyAdmin):
    list_display = ("listing", "user", "status", "expires_at", "created_at", "decided_at")
    list_filter = ("status", "created_at")
    list_select_related = ("listing__organization", "user")
    search_fields = ("user__email", "listing__slug", "listing__organization__slug")
    ordering = ("-id",)


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    list_display = ("kind", "user", "attempts", "created_at", "sent_at")
    list_filter = ("kind", "created_at")
    list_select_related = ("user",)
    search_fields = ("user__email",)
    ordering = ("-id",)
