"""Money that came in and went back, and what was not as it should be: to be read. What can be done about it is asked for under Actions."""

# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False
# (the packages subclassed here come without types)

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from store.accounts.models import User
from store.billing.models import (
    AutoTopup,
    BillingDetails,
    Card,
    Dispute,
    Grant,
    Letter,
    Paper,
    PromoCode,
    Quarantine,
    Redemption,
    Refund,
    RefundOrder,
    StripeEvent,
    Topup,
)
from store.billing.quarantines import RESOLVE
from store.billing.views import resolve_page
from store.ledger.admin import in_dollars
from store.staff.asking import ask_for
from store.staff.read_only import ReadOnlyAdmin


@admin.register(Topup)
class TopupAdmin(ReadOnlyAdmin):
    actions_detail = ("refund",)
    list_display = (
        "id", "organization", in_dollars("amount_nano", _("amount")), in_dollars("tax_nano", _("tax")), "mode", "status", "payment_intent", "created_by", "created_at",
    )  # fmt: skip
    list_filter = ("mode", "status", "is_automatic", "created_at")
    list_select_related = ("organization", "created_by")
    search_fields = ("=id", "=payment_intent", "=checkout_session", "organization__slug", "created_by__email")
    ordering = ("-created_at",)

    @action(description=_("Refund"), icon="undo", permissions=["refund"], url_path="refund")
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return ask_for("refund", topup=object_id)

    def has_refund_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("backoffice.refund_payments")


@admin.register(RefundOrder)
class RefundOrderAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "topup", in_dollars("amount_nano", _("amount")), "of_spent", "status", "reason", "error", "attempts", "created_by", "created_at",
        "ended_at",
    )  # fmt: skip
    list_filter = ("status", "of_spent", "created_at")
    list_select_related = ("topup", "created_by")
    search_fields = ("=id", "=topup__id")
    ordering = ("-id",)


@admin.register(Quarantine)
class QuarantineAdmin(ReadOnlyAdmin):
    list_display = ("object_id", "reason", "expected", "found", "topup", "created_at", "resolved_at", "resolved_by")
    list_filter = (("resolved_at", admin.EmptyFieldListFilter), "reason", "created_at")
    list_select_related = ("topup", "resolved_by")
    search_fields = ("=object_id", "=topup__id", "resolution")
    ordering = ("-id",)
    actions_detail = ("resolve",)

    @action(description=_("Write what was done"), icon="task_alt", permissions=["resolve"], url_path="resolve")
    def resolve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.get_object(request, object_id)
        if found is None:
            raise Http404
        return resolve_page(request, cast(User, request.user), found, self.admin_site.each_context(request))

    def has_resolve_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Where nobody has written it yet."""
        row = self.get_object(request, object_id) if object_id else None
        return request.user.has_perm(RESOLVE) and (row is None or row.resolved_at is None)


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin):
    list_display = ("id", "type", "received_at", "processed_at", "attempts")
    list_filter = ("type", "received_at")
    search_fields = ("=id",)
    ordering = ("-received_at",)


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "topup", in_dollars("amount_nano", _("amount")), in_dollars("from_credit_nano", _("from credit")),
        in_dollars("tax_nano", _("tax")), "created_at", "failed_at",
    )  # fmt: skip
    search_fields = ("=id", "=topup__id")
    ordering = ("-created_at",)


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "topup", "status", in_dollars("amount_nano", _("amount")), in_dollars("from_credit_nano", _("from credit")),
        in_dollars("tax_nano", _("tax")), "created_at",
        "closed_at",
    )  # fmt: skip
    list_filter = ("status", "topup__mode", "created_at")
    search_fields = ("=id", "=topup__id")
    ordering = ("-created_at",)


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin):
    """Credit is granted under Actions, where a large amount waits for a second person."""

    list_display = (
        "id", "organization", "source", "reason", in_dollars("amount_nano", _("amount")), in_dollars("spent_nano", _("spent")),
        in_dollars("returned_nano", _("went back")), "expires_at", "created_by", "created_at",
    )  # fmt: skip
    list_filter = ("source", ("ended_at", admin.EmptyFieldListFilter), "expires_at", "created_at")
    list_select_related = ("organization", "created_by")
    autocomplete_fields = ("organization",)
    search_fields = ("=id", "organization__slug", "reason")
    ordering = ("-id",)


@admin.register(PromoCode)
class PromoCodeAdmin(ReadOnlyAdmin):
    """Codes are made and ended under Actions."""

    list_display = (
        "code", in_dollars("amount_nano", _("amount")), "percent", "redeemed", "total_limit", "organization_limit", "first_topup_only",
        "starts_at", "ends_at", "created_by",
    )  # fmt: skip
    list_filter = ("first_topup_only", "created_at")
    list_select_related = ("created_by",)
    search_fields = ("code",)
    ordering = ("-id",)
    actions_list = ("make",)
    actions_detail = ("end",)

    @action(description=_("Make a promo code"), icon="add", permissions=["codes"], url_path="make")
    def make(self, request: HttpRequest) -> HttpResponse:
        return ask_for("promo_code")

    @action(description=_("End this code"), icon="block", permissions=["codes"], url_path="end")
    def end(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return ask_for("end_code", code=object_id)

    def has_codes_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("backoffice.manage_codes")


@admin.register(Redemption)
class RedemptionAdmin(ReadOnlyAdmin):
    list_display = ("code", "organization", "grant", "created_by", "created_at")
    list_filter = ("created_at", ("grant", admin.EmptyFieldListFilter))
    list_select_related = ("code", "organization", "grant", "created_by")
    search_fields = ("=code__code", "organization__slug")
    ordering = ("-id",)


@admin.register(Letter)
class LetterAdmin(ReadOnlyAdmin):
    list_display = ("key", "address", "template", "attempts", "created_at", "sent_at")
    list_filter = ("template", ("sent_at", admin.EmptyFieldListFilter))
    search_fields = ("=key", "=address")
    ordering = ("-id",)


@admin.register(Paper)
class PaperAdmin(ReadOnlyAdmin):
    list_display = (
        "number",
        "organization",
        "kind",
        "mode",
        "period",
        in_dollars("total_nano", _("total")),
        "about",
        "issued_at",
    )
    list_filter = ("kind", "mode", "issued_at")
    list_select_related = ("organization",)
    search_fields = ("=number", "=about", "organization__slug")
    ordering = ("-id",)


@admin.register(BillingDetails)
class BillingDetailsAdmin(ReadOnlyAdmin):
    list_display = ("organization", "legal_name", "country", "tax_id", "email", "updated_at")
    list_filter = ("country",)
    list_select_related = ("organization",)
    search_fields = ("organization__slug", "legal_name", "tax_id")


@admin.register(AutoTopup)
class AutoTopupAdmin(ReadOnlyAdmin):
    list_display = (
        "organization", "is_on", in_dollars("threshold_nano", _("below")), in_dollars("amount_nano", _("amount")),
        in_dollars("month_nano", _("in a month")), "failures", "off_reason", "due_at",
    )  # fmt: skip
    list_filter = ("is_on", "off_reason")
    list_select_related = ("organization",)
    search_fields = ("organization__slug",)


@admin.register(Card)
class CardAdmin(ReadOnlyAdmin):
    list_display = ("organization", "place", "brand", "last4", "exp_month", "exp_year", "created_at")
    list_filter = ("place", "brand")
    list_select_related = ("organization",)
    search_fields = ("organization__slug", "=stripe_id")
