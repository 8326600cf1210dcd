"""Money that came in and went back, and what was not as it should be: to be read. Credit is given, and codes are made, by the verbs."""

# mypy: disallow-subclassing-any=False
# (the packages subclassed here come without types)

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from store.accounts.models import User
from store.billing.forms import PromoCodeForm
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
from store.billing.promo import end_codes
from store.billing.refunding import refund, unspent_nano
from store.errors import StoreError
from store.ledger.admin import in_dollars
from store.ledger.dollars import dollars, parse_dollars
from store.staff.read_only import ReadOnlyAdmin


def user_of(request: HttpRequest) -> User:
    """Who works in the admin."""
    assert isinstance(request.user, User)  # the site lets nobody else in
    return request.user


def _text(placeholder: Any) -> UnfoldAdminTextInputWidget:
    return UnfoldAdminTextInputWidget(attrs={"placeholder": placeholder})


class RefundForm(ActionForm):
    """How much of the chosen payment goes back, and why; nothing for the amount: all that is not spent."""

    amount = forms.CharField(required=False, label="", widget=_text(_("Dollars")))
    reason = forms.CharField(required=False, label="", widget=_text(_("Reason")))
    of_spent = forms.BooleanField(required=False, label=_("of spent credit, too"), widget=UnfoldBooleanWidget)


@admin.register(Topup)
class TopupAdmin(ReadOnlyAdmin):
    action_form = RefundForm
    actions = ("give_back",)
    list_display = (
        "id", "organization", in_dollars("amount_nano", _("amount")), in_dollars("tax_nano", _("tax")), "mode", "status", "payment_intent", "created_by", "created_at",
    )  # fmt: skip
    list_filter = ("mode", "status", "is_automatic", "created_at")
    list_select_related = ("organization", "created_by")
    search_fields = ("=id", "=payment_intent", "=checkout_session", "organization__slug", "created_by__email")
    ordering = ("-created_at",)

    @admin.action(description=_("Refund"))
    def give_back(self, request: HttpRequest, rows: QuerySet[Topup]) -> None:
        """One payment at a time: an amount is of one."""
        topup, asked = rows.get() if rows.count() == 1 else None, request.POST.get("amount", "")
        try:
            nano = parse_dollars(asked) if asked else None
        except ValueError:
            topup = None
        if topup is None:
            self.message_user(request, _("Choose one payment, and an amount of dollars such as 12.50."), messages.ERROR)
            return
        try:
            order = refund(
                topup=topup, amount_nano=unspent_nano(topup) if nano is None else nano, reason=request.POST.get("reason", ""),
                by=user_of(request), of_spent="of_spent" in request.POST,
            )  # fmt: skip
        except StoreError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            said = _("%(amount)s: %(status)s") % {
                "amount": dollars(order.amount_nano),
                "status": order.get_status_display(),
            }
            self.message_user(request, said, messages.SUCCESS)


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
    list_display = ("object_id", "reason", "expected", "found", "topup", "created_at")
    list_filter = ("reason", "created_at")
    search_fields = ("=object_id", "=topup__id")
    ordering = ("-id",)


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


class GivenAdmin(ReadOnlyAdmin):
    """Rows that the verbs make from a form, and that nobody changes after."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change, **options)
        form.user = request.user
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The verb has made it."""


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
class PromoCodeAdmin(GivenAdmin):
    form = PromoCodeForm
    list_display = (
        "code", in_dollars("amount_nano", _("amount")), "percent", "redeemed", "total_limit", "organization_limit", "first_topup_only",
        "starts_at", "ends_at", "created_by",
    )  # fmt: skip
    list_filter = ("first_topup_only", "created_at")
    list_select_related = ("created_by",)
    search_fields = ("code",)
    ordering = ("-id",)
    actions = ("end",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return super().get_fields(request, obj) if obj else (
            "code", "amount", "percent", "most", "lives_days", "total_limit", "organization_limit", "first_topup_only", "ends_at",
        )  # fmt: skip

    @admin.action(description=_("End now"))
    def end(self, request: HttpRequest, rows: QuerySet[PromoCode]) -> None:
        count = end_codes(codes=list(rows), user=user_of(request))
        self.message_user(request, _("%d codes were ended.") % count, messages.SUCCESS)


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
