"""How things stand now, whatever period is looked at: what is owed, held, waiting and wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Count, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from store.backoffice.figures import Figure
from store.backoffice.links import rows, within
from store.backoffice.models import ActionStatus, AdminAction, AuditFinding
from store.backoffice.period import Period
from store.billing.models import Dispute, DisputeStatus, Quarantine
from store.ledger.models import Freeze, Hold, HoldStatus, Wallet, WalletKind
from store.payouts.models import Payout, PayoutStatus

LATE: Final = timedelta(minutes=10)  # the reaper looks every few seconds: a hold that is this late was forgotten


def owed() -> list[Figure]:
    """The balances by kind of wallet: what the store owes, and what it has."""
    found = {row["kind"]: row for row in Wallet.objects.values("kind").annotate(nano=Sum("posted_nano"))}
    shown = [
        ("liability", _("Credit outstanding"), WalletKind.CREDIT),
        ("earnings", _("Earnings owed"), WalletKind.EARNINGS),
        ("in_flight", _("On its way to banks"), WalletKind.IN_FLIGHT),
        ("disputed", _("Frozen by disputes"), WalletKind.DISPUTED),
        ("platform", _("The store's own"), WalletKind.PLATFORM),
    ]
    return [
        Figure(
            key=key, name=name, nano=int(found[kind]["nano"]) if kind in found else 0,
            url=rows("ledger_wallet", kind__exact=kind.value),
        )
        for key, name, kind in shown
    ]  # fmt: skip


def holds() -> list[Figure]:
    """What is held for calls and trainings under way, and what is held for too long."""
    late = timezone.now() - LATE
    opened = Hold.objects.filter(status=HoldStatus.OPEN)
    found = opened.aggregate(nano=Sum("amount_nano"), old=Sum("amount_nano", filter=Q(expires_at__lt=late)))
    is_open = {"status__exact": HoldStatus.OPEN.value}
    return [
        Figure(key="holds", name=_("Holds open"), nano=int(found["nano"] or 0), url=rows("ledger_hold", **is_open)),
        Figure(
            key="old_holds", name=_("Holds past their end"), nano=int(found["old"] or 0), alarm=bool(found["old"]),
            url=rows("ledger_hold", **is_open, expires_at__lt=late),
        ),
    ]  # fmt: skip


def payouts(period: Period) -> list[Figure]:
    """What is due and on its way now, and what has failed or come back of what was asked for in the period."""
    failed = (PayoutStatus.FAILED, PayoutStatus.REVERSED)
    within_period = within("created_at", period)
    found = Payout.objects.aggregate(
        due=_sum(status=PayoutStatus.PENDING), flying=_sum(status=PayoutStatus.IN_FLIGHT), failed=_sum(status__in=failed, **within_period),
    )  # fmt: skip
    return [
        Figure(key="payouts_due", name=_("Payouts due"), nano=int(found["due"] or 0), url=rows("payouts_payout", status__exact="pending")),
        Figure(key="payouts_in_flight", name=_("Payouts in flight"), nano=int(found["flying"] or 0), url=rows("payouts_payout", status__exact="in_flight")),
        Figure(
            key="payouts_failed", name=_("Payouts failed"), nano=int(found["failed"] or 0), alarm=bool(found["failed"]),
            url=rows("payouts_payout", status__in=[one.value for one in failed], **within_period),
        ),
    ]  # fmt: skip


def _sum(**where: object) -> Sum:
    return Sum("amount_nano", filter=Q(**where))


def waiting(money: str) -> list[Figure]:
    """What somebody should look at."""
    mode = {} if money == "all" else {"topup__mode__exact": money}
    disputes = Dispute.objects.filter(status=DisputeStatus.OPEN, **mode)
    actions = AdminAction.objects.filter(status=ActionStatus.WAITING)
    open_disputes = disputes.aggregate(nano=Sum("amount_nano"), count=Count("pk"))
    counts = [
        ("quarantine", _("In quarantine"), Quarantine.objects.filter(resolved_at=None).count(), rows("billing_quarantine", resolved_at__isempty=1)),
        ("actions", _("Wait for a second person"), actions.count(), rows("backoffice_adminaction", status__exact="waiting")),
        ("frozen", _("Frozen organizations"), Freeze.objects.current().count(), rows("ledger_freeze", lifted_at__isempty=1)),
        ("findings", _("Audit findings"), AuditFinding.objects.filter(resolved_at=None).count(), rows("backoffice_auditfinding", resolved_at__isempty=1)),
    ]  # fmt: skip
    return [
        Figure(
            key="disputes", name=_("Disputes open"), nano=int(open_disputes["nano"] or 0), count=open_disputes["count"],
            url=rows("billing_dispute", status__exact="open", **mode), alarm=bool(open_disputes["count"]),
        ),
        *(Figure(key=key, name=name, count=count, url=url, alarm=count > 0) for key, name, count, url in counts),
    ]  # fmt: skip
