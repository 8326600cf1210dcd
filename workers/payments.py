"""What Stripe has told, and what it has not; what the store has given, and until when."""

from __future__ import annotations

import logging

import stripe
from celery import shared_task
from django.utils import timezone

from store.billing import letters
from store.billing.automatic import due_auto_topups, run_auto_topup
from store.billing.grants import count_all, due_grants, end_grants, warn_of_ends, welcome
from store.billing.inbox import TASK, due_events, process_event
from store.billing.papers.statements import Month, due_statements, issue_statement
from store.billing.reconciling import reconcile
from store.billing.refunding import TASK as REFUNDS
from store.billing.refunding import due_orders, run_order

logger = logging.getLogger(__name__)


@shared_task(name=TASK)
def act_on_event(event_id: str) -> None:
    """One event, if it is due."""
    process_event(event_id)


@shared_task(name="billing.due")
def act_on_due_events() -> None:
    """Events whose message was lost, or for which Stripe did not answer."""
    for event_id in due_events():
        process_event(event_id)


@shared_task(name="billing.reconcile")
def find_what_was_not_told() -> None:
    """Events that never came."""
    try:
        logger.info("reconciled with Stripe: %d payments were not known as they are", reconcile())
    except stripe.StripeError as error:
        logger.warning("Stripe does not answer; reconciled at the next turn: %s", error)


@shared_task(name=letters.TASK)
def send_letters() -> None:
    """Sends every mail about money that is due."""
    while letters.send_letters() == letters.BATCH:
        pass


@shared_task(name="grants.due")
def end_due_grants() -> None:
    """What is left of grants whose time has come goes back; new people are welcomed."""
    welcome()
    for organization_id in due_grants():
        moved = end_grants(organization_id)
        logger.info("granted credit of organization %d ended: %d nano-dollars went back", organization_id, moved)


@shared_task(name="grants.count")
def count_grants() -> None:
    """Counts what was spent, and tells of what ends soon."""
    logger.info("grants of %d organizations were counted, %d end soon", count_all(), warn_of_ends())


@shared_task(name="billing.statements")
def issue_statements() -> None:
    """Statements of the month that is over, for all whose credit moved in it."""
    month = Month.before(timezone.now())
    while due := due_statements(month):
        for organization_id in due:
            issue_statement(organization_id, month)
        logger.info("%d statements of %s were issued", len(due), month.starts.date())


@shared_task(name="billing.automatic")
def top_up_low_balances() -> None:
    """Automatic top-ups that are due, one after another: Stripe is asked for each."""
    for organization_id in due_auto_topups():
        run_auto_topup(organization_id)


@shared_task(name=REFUNDS)
def bring_refunds_to_an_end() -> None:
    """Refunds of which it is not known what became of them."""
    for order_id in due_orders():
        run_order(order_id)
