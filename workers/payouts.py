"""Payouts go to Stripe and are looked at until they have ended; earnings become available."""

from __future__ import annotations

import logging
from uuid import UUID

import stripe
from celery import shared_task

from store.ledger.earnings import forget_marks, mark_earnings
from store.payouts.actions import ADVANCE_TASK
from store.payouts.reconciling import look_at_open_accounts
from store.payouts.scheduling import due_schedules, run_schedule
from store.payouts.sending import advance, due_payouts

logger = logging.getLogger(__name__)


@shared_task(name=ADVANCE_TASK)
def advance_payout(payout_id: str) -> None:
    """One payout, if it is due."""
    advance(UUID(payout_id))


@shared_task(name="payouts.due")
def advance_due() -> None:
    """Payouts of which a message was lost, for which Stripe did not answer, or that a bank has."""
    for payout_id in due_payouts():
        advance(payout_id)


@shared_task(name="payouts.schedule")
def ask_for_due() -> None:
    """Payouts that a schedule asks for."""
    for schedule_id in due_schedules():
        run_schedule(schedule_id)


@shared_task(name="payouts.mark")
def mark() -> None:
    """What has come into each earnings wallet by now."""
    logger.info("marked %d earnings wallets; %d old marks were deleted", mark_earnings(), forget_marks())


@shared_task(name="payouts.accounts")
def look_at_accounts() -> None:
    """Accounts of which no event came."""
    try:
        logger.info("looked at %d accounts", look_at_open_accounts())
    except stripe.StripeError as error:
        logger.warning("Stripe does not answer; accounts are looked at at the next turn: %s", error)
