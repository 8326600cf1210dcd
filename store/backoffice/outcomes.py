"""What became of an action after it was done: Stripe and banks take their time."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from store.backoffice.models import ActionKind, ActionStatus, AdminAction
from store.billing.models import PromoCode, RefundOrder
from store.payouts.models import Payout


@dataclass(frozen=True, slots=True)
class Outcome:
    """The row that the action made, and how it stands."""

    words: str
    url: str


def outcome_of(action: AdminAction) -> Outcome | None:
    """None where it made no row of its own, or has not been done."""
    match action.kind:
        case ActionKind.REFUND:
            order = RefundOrder.objects.filter(pk=action.pk).first()
            return _outcome("billing_refundorder", order, order.get_status_display(), order.error) if order else None
        case ActionKind.RETRY_PAYOUT:
            again = (
                Payout.objects.filter(retry_of=action.payout_id).first() if action.status == ActionStatus.DONE else None
            )
            return (
                _outcome("payouts_payout", again, again.get_status_display(), again.failure_message) if again else None
            )
        case ActionKind.PROMO_CODE | ActionKind.END_CODE:
            word = action.terms["code"] if action.terms else action.code and action.code.code
            code = PromoCode.objects.filter(code=word).first()
            return _outcome("billing_promocode", code, code.code, "") if code else None
    return None


def _outcome(model: str, row: RefundOrder | PromoCode | Payout, state: str, why: str) -> Outcome:
    return Outcome(f"{state}: {why}" if why else str(state), reverse(f"admin:{model}_change", args=[row.pk]))
