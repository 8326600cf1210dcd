"""Refunds and disputes: any order of events gives the same books, and no wallet goes below zero."""

from __future__ import annotations

from itertools import permutations

import pytest
from django.core import mail
from pytest_django.fixtures import Settings

from store.accounts.models import User
from store.billing.inbox import process_event
from store.billing.letters import send_letters
from store.billing.models import Dispute, DisputeStatus, Quarantine, QuarantineReason, Refund, StripeEvent
from store.ledger.actions import store_wallet, transfer, wallet_of
from store.ledger.models import TransferKind, WalletKind
from tests.conftest import DOLLAR
from tests.sandboxed import DISPUTED, Till

pytestmark = pytest.mark.django_db
TOLD = ("checkout.session.completed", "charge.refunded", "charge.dispute.created", "charge.dispute.closed")


def balances(user: User) -> dict[str, int]:
    """Dollars by wallet."""
    of = user.personal_organization.pk
    own = {kind: wallet_of(of, kind).posted_nano // DOLLAR for kind in (WalletKind.CREDIT, WalletKind.DISPUTED)}
    return {
        **own,
        **{kind: store_wallet(kind).posted_nano // DOLLAR for kind in (WalletKind.PLATFORM, WalletKind.TEST_BANK)},
    }


def spend(user: User, dollars: int) -> None:
    wallet = wallet_of(user.personal_organization.pk, WalletKind.CREDIT)
    transfer(
        key=f"spent:{wallet.pk}", debit_id=wallet.pk, credit_id=wallet_of(user.personal_organization.pk, WalletKind.EARNINGS).pk,
        amount_nano=dollars * DOLLAR, kind=TransferKind.CORRECTION,
    )  # fmt: skip


@pytest.mark.parametrize(
    "order", list(permutations(TOLD)), ids=lambda order: " ".join(each.split(".")[-1] for each in order)
)
@pytest.mark.parametrize("won", [True, False])
def test_every_order_of_events_gives_the_same_books(
    till: Till, consumer: User, order: tuple[str, ...], won: bool
) -> None:
    topup = till.buy(consumer)
    till.v1.refunds.create({"payment_intent": till.intent(topup), "amount": 500})
    till.decide(till.dispute(topup), won=won)
    told = {event["type"]: event for event in till.events()}
    for type in order:
        StripeEvent.objects.create(id=told[type]["id"], type=type, payload=told[type])
        process_event(told[type]["id"])
    left = 20 if won else 0
    assert balances(consumer) == {"credit": left, "disputed": 0, "platform": 0, "test_bank": -left}


def test_a_disputed_amount_is_frozen_until_the_bank_decides(till: Till, consumer: User) -> None:
    till.buy(consumer, card=DISPUTED)
    till.deliver()
    assert balances(consumer) == {"credit": 0, "disputed": 25, "platform": 0, "test_bank": -25}
    till.decide(Dispute.objects.get().pk, won=True)
    till.deliver()
    assert Dispute.objects.get().status == DisputeStatus.WON
    assert balances(consumer) == {"credit": 25, "disputed": 0, "platform": 0, "test_bank": -25}


@pytest.mark.parametrize("won", [True, False])
def test_what_was_spent_is_borne_by_the_platform_and_shown(till: Till, consumer: User, won: bool) -> None:
    topup = till.buy(consumer)
    till.deliver()
    spend(consumer, 15)
    dispute = till.dispute(topup)
    till.deliver()
    assert balances(consumer) == {"credit": 0, "disputed": 25, "platform": -15, "test_bank": -25}
    assert Quarantine.objects.get().reason == QuarantineReason.SHORTFALL
    till.decide(dispute, won=won)
    till.deliver()
    expected = {"credit": 10, "disputed": 0, "platform": 0, "test_bank": -25} if won else {
        "credit": 0, "disputed": 0, "platform": -15, "test_bank": 0,
    }  # fmt: skip
    assert balances(consumer) == expected


def test_refunds_in_parts_take_unspent_credit_first(till: Till, consumer: User) -> None:
    topup = till.buy(consumer)
    till.deliver()
    spend(consumer, 15)
    for cents in (700, 800):
        till.v1.refunds.create({"payment_intent": till.intent(topup), "amount": cents})
        till.deliver()
    parts = {(row.amount_nano // DOLLAR, row.from_credit_nano // DOLLAR) for row in Refund.objects.all()}
    assert parts == {(7, 7), (8, 3)}
    assert balances(consumer) == {"credit": 0, "disputed": 0, "platform": -5, "test_bank": -10}


def test_a_refund_that_fails_later_comes_back(till: Till, consumer: User) -> None:
    topup = till.buy(consumer)
    refund = till.v1.refunds.create({"payment_intent": till.intent(topup), "amount": 500})
    till.deliver()
    assert balances(consumer)["credit"] == 20
    till.change(refund.id, status="failed")
    StripeEvent.objects.update(processed_at=None, due_at="2000-01-01T00:00Z")
    till.deliver()
    till.deliver()
    assert balances(consumer)["credit"] == 25


def earn(user: User, provider: User, dollars: int) -> None:
    """As calls of the provider's models would."""
    transfer(
        key=f"earned:{provider.pk}", debit_id=wallet_of(user.personal_organization.pk, WalletKind.CREDIT).pk,
        credit_id=wallet_of(provider.personal_organization.pk, WalletKind.EARNINGS).pk, amount_nano=dollars * DOLLAR,
        kind=TransferKind.USAGE,
    )  # fmt: skip


def earnings(user: User) -> int:
    return wallet_of(user.personal_organization.pk, WalletKind.EARNINGS).posted_nano // DOLLAR


def test_a_lost_dispute_is_borne_by_earnings_that_are_held_back(
    till: Till, consumer: User, provider: User, stranger: User
) -> None:
    topup = till.buy(consumer)
    till.deliver()
    earn(consumer, provider, 12)
    earn(consumer, stranger, 3)
    till.decide(till.dispute(topup), won=False)
    till.deliver()
    till.deliver()
    assert balances(consumer) == {"credit": 0, "disputed": 0, "platform": 0, "test_bank": 0}
    assert (earnings(provider), earnings(stranger)) == (0, 0)
    send_letters()
    told = {message.to[0] for message in mail.outbox if "taken back" in message.subject}
    assert told == {"provider@example.com", "stranger@example.com"}


def test_each_provider_bears_its_proportion(till: Till, consumer: User, provider: User, stranger: User) -> None:
    topup = till.buy(consumer)
    till.deliver()
    earn(consumer, provider, 16)
    earn(consumer, stranger, 4)
    till.decide(till.dispute(topup, cents=1500), won=False)  # 5 are left, so 10 were spent
    till.deliver()
    assert (earnings(provider), earnings(stranger)) == (8, 2)
    assert balances(consumer)["platform"] == 0


def test_what_is_available_to_a_provider_is_not_touched(
    till: Till, consumer: User, provider: User, settings: Settings
) -> None:
    settings.EARNINGS_HOLD_BACK_DAYS = 0
    topup = till.buy(consumer)
    till.deliver()
    earn(consumer, provider, 15)
    till.decide(till.dispute(topup), won=False)
    till.deliver()
    assert earnings(provider) == 15
    assert balances(consumer)["platform"] == -15
