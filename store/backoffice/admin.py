"""The back office: what was done with money, and what can be asked for; what was proven; who pays."""

# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False
# (the packages subclassed here come without types)

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from store.accounts.models import User
from store.backoffice.actions.permission import ASK, DECIDE, SEE_BOOKS, may
from store.backoffice.customers import NAMES, customers
from store.backoffice.models import (
    ActionKind,
    AdminAction,
    AuditFinding,
    AuditRun,
    AuditSource,
    LedgerDay,
    PayingCustomer,
    WalletDay,
)
from store.backoffice.outcomes import outcome_of
from store.backoffice.period import USUAL, Period, preset
from store.backoffice.views.actions import StaffRequest, ask, decide
from store.backoffice.views.exports import exports
from store.backoffice.views.proving import prove
from store.ledger.admin import in_dollars
from store.ledger.models import WalletKind
from store.staff.read_only import ReadOnlyAdmin


def _may(request: HttpRequest, permission: str) -> bool:
    return isinstance(request.user, User) and may(request.user, permission)


@admin.register(AdminAction)
class AdminActionAdmin(ReadOnlyAdmin):
    """The trail; above it what can be asked for, above a row that waits the page on which it is decided."""

    list_display = (
        "id", "kind", "organization", "amount", "status", "requested_by", "created_at", "decided_by", "reason",
    )  # fmt: skip
    list_filter = ("status", "kind", "needs_approval", "created_at")
    list_select_related = ("organization", "requested_by", "decided_by")
    search_fields = ("=id", "organization__slug", "requested_by__email", "reason")
    ordering = ("-created_at",)
    actions_list = (
        "grant", "refund", "adjust",
        {"title": _("Payouts"), "items": ["run_payout", "retry_payout", "release_earnings"]},
        {"title": _("Promo codes"), "items": ["promo_code", "end_code"]},
        {"title": _("Freeze"), "items": ["freeze_spending", "lift_spending", "freeze_payouts", "lift_payouts"]},
    )  # fmt: skip
    actions_detail = ("decide",)

    readonly_fields = ("amount", "gives", "became")
    fields = (
        "kind", "status", "became", "organization", "topup", "payout", "amount", "of_spent", "code", "gives", "debit", "credit", "days", "note", "reason",
        "needs_approval", "requested_by", "created_at", "expires_at", "decided_by", "decided_at", "answer",
    )  # fmt: skip

    def get_fields(self, request: HttpRequest, obj: AdminAction | None = None) -> tuple[str, ...]:
        """Those of which this action says something."""
        if obj is None:
            return self.fields
        made = {"gives": obj.terms, "became": outcome_of(obj)}
        return tuple(name for name in self.fields if (made[name] if name in made else getattr(obj, name)))

    @admin.display(description=_("amount"), ordering="amount_nano")
    def amount(self, row: AdminAction) -> str:
        return row.amount

    @admin.display(description=_("promo code"))
    def gives(self, row: AdminAction) -> str:
        return f"{row.code_terms.code}: {row.code_terms.gives}" if row.code_terms else ""

    @admin.display(description=_("what became of it"))
    def became(self, row: AdminAction) -> str:
        found = outcome_of(row)
        return format_html('<a class="underline" href="{}">{}</a>', found.url, found.words) if found else ""

    @action(description=_("Grant credit"), icon="redeem", permissions=["grant"], url_path="grant")
    def grant(self, request: HttpRequest) -> HttpResponse:
        return self._ask(request, ActionKind.GRANT)

    @action(
        description=_("Correct by a transfer"),
        icon="swap_horiz",
        permissions=["adjust"],
        url_path="adjust",
    )
    def adjust(self, request: HttpRequest) -> HttpResponse:
        return self._ask(request, ActionKind.ADJUST)

    @action(description=_("Refund"), icon="undo", permissions=["refund"], url_path="refund")
    def refund(self, request: HttpRequest) -> HttpResponse:
        return self._ask(request, ActionKind.REFUND)

    @action(description=_("Make a promo code"), permissions=["codes"], url_path="promo-code")
    def promo_code(self, request: HttpRequest) -> HttpResponse:
        return self._ask(request, ActionKind.PROMO_CODE)

    @action(description=_("End a promo code"), permissions=["codes"], url_path="end-code")
    def end_code(self, request: HttpRequest) -> HttpResponse:
        return self._ask(request, ActionKind.END_CODE)

    @action(description=_("Run a payout"), icon="payments", permissions=["pay_out"], url_path="run-payout")
    def run_payout(self, request: HttpRequest) -> HttpResponse:
        return self._ask(request, ActionKind.PAYOUT)

    @action(description=_("Try a payout again"), permissions=["pay_out"], url_path="retry-payout")
    def retry_payout(self, request: HttpRequest) -> HttpResponse:
        return self._ask(request, ActionKind.RETRY_PAYOUT)

    @action(description=_("Release held-back earnings"), permissions=["release"], url_path="release-earnings")
    def release_earnings(self, request: HttpRequest) -> HttpResponse:
        return self._ask(request, ActionKind.RELEASE_HOLD_BACK)

    def has_release_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return _may(request, ASK[ActionKind.RELEASE_HOLD_BACK])

    def has_pay_out_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return _may(request, ASK[ActionKind.PAYOUT])

    @action(description=_("Freeze spending"), permissions=["freeze"], url_path="freeze-spending")
    def freeze_spending(self, request: HttpRequest) -> HttpResponse:
        return self._ask(request, ActionKind.FREEZE_SPENDING)

    @action(description=_("Let spend again"), permissions=["freeze"], url_path="lift-spending")
    def lift_spending(self, request: HttpRequest) -> HttpResponse:
        return self._ask(request, ActionKind.LIFT_SPENDING)

    @action(description=_("Freeze payouts"), permissions=["freeze"], url_path="freeze-payouts")
    def freeze_payouts(self, request: HttpRequest) -> HttpResponse:
        return self._ask(request, ActionKind.FREEZE_PAYOUTS)

    @action(description=_("Let be paid out again"), permissions=["freeze"], url_path="lift-payouts")
    def lift_payouts(self, request: HttpRequest) -> HttpResponse:
        return self._ask(request, ActionKind.LIFT_PAYOUTS)

    @action(description=_("Approve or refuse"), icon="how_to_reg", permissions=["decide"], url_path="decide")
    def decide(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.get_object(request, object_id)
        if found is None:
            raise Http404
        return decide(cast(StaffRequest, request), found, self.admin_site.each_context(request))

    # unfold looks up permissions that are named with a dot while Django checks itself, when there may be no table of them yet.
    def has_grant_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return _may(request, ASK[ActionKind.GRANT])

    def has_adjust_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return _may(request, ASK[ActionKind.ADJUST])

    def has_refund_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return _may(request, ASK[ActionKind.REFUND])

    def has_codes_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return _may(request, ASK[ActionKind.PROMO_CODE])

    def has_freeze_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return _may(request, ASK[ActionKind.FREEZE_SPENDING])

    def has_decide_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return _may(request, DECIDE)

    def _ask(self, request: HttpRequest, kind: ActionKind) -> HttpResponse:
        return ask(cast(StaffRequest, request), kind, self.admin_site.each_context(request))


@admin.register(AuditRun)
class AuditRunAdmin(ReadOnlyAdmin):
    list_display = ("source", "started_at", "ended_at", "findings", "asked_by", "error")
    list_filter = ("source", "started_at")
    list_select_related = ("asked_by",)
    ordering = ("-id",)
    actions_list = ("prove_books", "prove_stripe")

    @action(description=_("Prove the books"), icon="fact_check", permissions=["prove"], url_path="prove-books")
    def prove_books(self, request: HttpRequest) -> HttpResponse:
        return prove(cast(StaffRequest, request), AuditSource.BOOKS, self.admin_site.each_context(request))

    @action(description=_("Compare with Stripe"), icon="compare_arrows", permissions=["prove"], url_path="prove-stripe")
    def prove_stripe(self, request: HttpRequest) -> HttpResponse:
        return prove(cast(StaffRequest, request), AuditSource.STRIPE, self.admin_site.each_context(request))

    def has_prove_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return _may(request, SEE_BOOKS)


@admin.register(AuditFinding)
class AuditFindingAdmin(ReadOnlyAdmin):
    list_display = ("law", "row", "expected", "found", "remedy", "first_run", "resolved_at")
    list_filter = ("source", "law", ("resolved_at", admin.EmptyFieldListFilter))
    list_select_related = ("first_run",)
    search_fields = ("row", "law")
    ordering = ("-id",)


@admin.register(LedgerDay)
class LedgerDayAdmin(ReadOnlyAdmin):
    list_display = (
        "day", "wallet_kind", "kind", in_dollars("debit_nano", _("out")), in_dollars("credit_nano", _("in")), "transfers",
    )  # fmt: skip
    list_filter = ("kind", "wallet_kind", "day")
    ordering = ("-day", "wallet_kind", "kind")
    actions_list = ("exports",)

    @action(
        description=_("Trial balance and journal"), icon="account_balance", permissions=["export"], url_path="exports"
    )
    def exports(self, request: HttpRequest) -> HttpResponseBase:
        return exports(cast(StaffRequest, request), self.admin_site.each_context(request))

    def has_export_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return _may(request, SEE_BOOKS)


@admin.register(WalletDay)
class WalletDayAdmin(ReadOnlyAdmin):
    list_display = ("day", "wallet", in_dollars("paid_nano", _("paid")), in_dollars("earned_nano", _("earned")))
    list_filter = ("day",)
    list_select_related = ("wallet__organization",)
    search_fields = ("wallet__organization__slug",)
    ordering = ("-day", "-id")


class StandingFilter(admin.SimpleListFilter):
    """``standing=lost:2026-11-01:2026-12-01``: those who stand so in a period, whose end is not in it."""

    title = _("standing in the last 30 days")
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        period = preset(USUAL, today=datetime.now(UTC).date())
        return [(f"{key}:{period.since}:{period.until}", name) for key, name in NAMES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PayingCustomer]) -> QuerySet[PayingCustomer]:
        chosen = self.value()
        if not chosen:
            return queryset
        try:
            standing, since, until = chosen.split(":")
            found = customers(Period(date.fromisoformat(since), date.fromisoformat(until)))[standing]
        except (ValueError, KeyError, OverflowError):
            return queryset.none()
        return queryset.filter(pk__in=found)


@admin.register(PayingCustomer)
class PayingCustomerAdmin(ReadOnlyAdmin):
    list_display = ("slug", "name", "created_at")
    list_filter = (StandingFilter,)
    search_fields = ("slug", "name")
    ordering = ("slug",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PayingCustomer]:
        """Whoever has a wallet to pay from."""
        found: QuerySet[PayingCustomer] = super().get_queryset(request).filter(wallets__kind=WalletKind.CREDIT)
        return found
