"""The audit trail of money that people moved: asked for, decided, done. The database lets a row be decided once, and never be changed."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User
from store.billing.models import PromoCode, Topup
from store.billing.promo import CodeTerms
from store.ledger.dollars import dollars
from store.ledger.models import Wallet
from store.payouts.models import Payout


class ActionKind(models.TextChoices):
    GRANT = "grant", _("Grant credit")
    ADJUST = "adjust", _("Correction by transfer")
    REFUND = "refund", _("Refund")
    PROMO_CODE = "promo_code", _("Make a promo code")
    END_CODE = "end_code", _("End a promo code")
    FREEZE_SPENDING = "freeze_spending", _("Freeze spending")
    LIFT_SPENDING = "lift_spending", _("Let spend again")
    FREEZE_PAYOUTS = "freeze_payouts", _("Freeze payouts")
    LIFT_PAYOUTS = "lift_payouts", _("Let be paid out again")
    PAYOUT = "payout", _("Run a payout")
    RETRY_PAYOUT = "retry_payout", _("Try a payout again")
    RELEASE_HOLD_BACK = "release_earnings", _("Release held-back earnings")


class ActionStatus(models.TextChoices):
    WAITING = "waiting", _("Waits for a second person")
    DONE = "done", _("Done")
    REFUSED = "refused", _("Refused")
    EXPIRED = "expired", _("Expired")


class AdminActionQuerySet(models.QuerySet["AdminAction"]):
    def waiting(self) -> AdminActionQuerySet:
        """What a second person may still decide."""
        return self.filter(status=ActionStatus.WAITING, expires_at__gt=Now())


class AdminAction(models.Model):
    """One thing that somebody who runs the store did, or wants to do. What it moves has the key ``admin:<id>``, what it makes its id."""

    id = models.UUIDField(primary_key=True)
    kind = models.CharField(_("what"), max_length=16, choices=ActionKind)
    organization = models.ForeignKey(
        Organization, null=True, on_delete=models.PROTECT, related_name="admin_actions"
    )  # null: between two wallets of the store, or about a promo code
    debit = models.ForeignKey(Wallet, null=True, on_delete=models.PROTECT, related_name="+")
    credit = models.ForeignKey(Wallet, null=True, on_delete=models.PROTECT, related_name="+")
    amount_nano = models.BigIntegerField(null=True)
    topup = models.ForeignKey(
        Topup, verbose_name=_("payment"), null=True, on_delete=models.PROTECT, related_name="+"
    )  # of which a part goes back
    payout = models.ForeignKey(Payout, null=True, on_delete=models.PROTECT, related_name="+")  # that is tried again
    earnings_mark = models.BigIntegerField(null=True, editable=False)  # id of the mark up to which earnings are let go
    of_spent = models.BooleanField(_("of spent credit, too"), default=False)
    terms = models.JSONField(null=True)  # of a promo code: what CodeTerms.kept makes
    code = models.ForeignKey(PromoCode, null=True, on_delete=models.PROTECT, related_name="+")  # that is ended
    days = models.PositiveSmallIntegerField(_("days that it can be spent"), null=True)  # of granted credit
    note = models.CharField(_("what the organization reads"), max_length=200, blank=True)
    reason = models.TextField(_("reason"), max_length=2000)
    status = models.CharField(max_length=8, choices=ActionStatus)
    needs_approval = models.BooleanField(_("four eyes"))
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True)  # of a request: nobody can approve it afterwards
    decided_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    answer = models.TextField(blank=True, max_length=2000)  # what the second person said

    objects = AdminActionQuerySet.as_manager()

    class Meta:
        verbose_name = _("action")
        verbose_name_plural = _("actions")
        permissions = [
            ("view_books", "Can see the dashboard and export the books"),
            ("grant_credit", "Can grant credit"),
            ("adjust_books", "Can correct the books by transfers"),
            ("refund_payments", "Can give payments back"),
            ("manage_codes", "Can make and end promo codes"),
            ("freeze_money", "Can freeze spending and payouts"),
            ("run_payouts", "Can run payouts"),
            ("release_earnings", "Can release earnings that are held back"),
            ("decide_actions", "Can approve and refuse what others ask for"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(amount_nano=None) | Q(amount_nano__gt=0), name="action_amount_positive"),
            models.CheckConstraint(condition=~Q(reason=""), name="action_has_a_reason"),
            models.CheckConstraint(
                condition=Q(decided_by=None) | ~Q(decided_by=F("requested_by")), name="action_decided_by_another"
            ),
            models.CheckConstraint(
                condition=Q(needs_approval=False, status="done")
                | Q(needs_approval=True, status__in=["waiting", "expired"], decided_by=None)
                | Q(needs_approval=True, status__in=["done", "refused"], decided_by__isnull=False),
                name="action_four_eyes",
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(status="waiting"), name="action_waiting"),
            models.Index(fields=["requested_by", "-created_at"], name="action_of_person"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.id}"

    @property
    def amount(self) -> str:
        """In dollars; empty where it is about none."""
        return "" if self.amount_nano is None else dollars(self.amount_nano)

    @property
    def code_terms(self) -> CodeTerms | None:
        """Of a promo code that is to be made."""
        return CodeTerms.of(self.terms) if self.terms else None
