"""Earnings are paid out: what is available, less the fee, once; what does not arrive is back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.core import mail
from django.db import connection
from pytest_django.fixtures import Settings

from store.accounts.models import Membership, Role, User
from store.billing.models import Place
from store.catalog.actions.notices import send_notices
from store.errors import NotFound, PermissionDenied, StoreError
from store.ledger.actions import store_wallet, transfer, wallet_of
from store.ledger.models import TransferKind, WalletKind
from store.payouts.accounts import start_onboarding
from store.payouts.actions import cancel_payout, next_time, request_payout, retry_payout, set_schedule
from store.payouts.errors import (
    AccountNotReady,
    BelowMinimum,
    InsufficientEarnings,
    MixedMoney,
    PayoutNotInState,
    PayoutPending,
)
from store.payouts.fees import fee_of, quote
from store.payouts.models import ConnectAccount, Interval, Payout, PayoutSchedule, PayoutStatus
from store.payouts.scheduling import due_schedules, run_schedule
from store.sandbox.models import StripeObject
from store.sandbox.resources import accounts as at_stripe
from tests.conftest import DOLLAR
from tests.sandboxed import Till
from tests.store.payouts.conftest import balances, earn, go_on, pass_days

pytestmark = pytest.mark.django_db
CLOSED = "000111111113"


def ask(user: User, dollars: int | None = None) -> Payout:
    amount = None if dollars is None else dollars * DOLLAR
    return request_payout(organization=user.personal_organization, user=user, amount_nano=amount)


def rich(user: User, dollars: int = 100) -> None:
    """Has earned so much, long ago."""
    earn(user.personal_organization, dollars * DOLLAR)
    pass_days(8)


def test_a_payout_goes_from_the_earnings_to_the_bank(till: Till, provider: User, account: ConnectAccount) -> None:
    rich(provider)
    payout = ask(provider)
    assert (payout.status, payout.amount_nano, payout.sent_nano) == (PayoutStatus.PENDING, 100 * DOLLAR, 100 * DOLLAR)
    assert balances(provider.personal_organization) == (0, 100 * DOLLAR)
    go_on()
    payout.refresh_from_db()
    assert payout.status == PayoutStatus.IN_FLIGHT
    till.bank()
    till.deliver()
    payout.refresh_from_db()
    assert (payout.status, payout.arrived_minor, payout.arrived_currency) == (PayoutStatus.PAID, 10_000, "usd")
    assert balances(provider.personal_organization) == (0, 0)
    assert store_wallet(WalletKind.TEST_BANK).posted_nano == 0
    keys = {key for method, _path, key in till.wire.sent if method == "POST" and "payout" in key}
    assert keys == {f"payout:{payout.pk}", f"payout:{payout.pk}:bank"}


def test_without_an_event_the_clock_finds_out(till: Till, provider: User, account: ConnectAccount) -> None:
    rich(provider)
    payout = ask(provider)
    go_on()
    till.bank()
    go_on()
    payout.refresh_from_db()
    assert payout.status == PayoutStatus.PAID


def test_a_bank_that_refuses_gives_the_money_back_once_and_says_what_to_do(till: Till, provider: User) -> None:
    till.onboard(provider, number=CLOSED)
    rich(provider)
    payout = ask(provider)
    go_on()
    till.bank()
    till.deliver()
    go_on()
    payout.refresh_from_db()
    assert (payout.status, payout.failure_code) == (PayoutStatus.FAILED, "account_closed")
    assert balances(provider.personal_organization) == (100 * DOLLAR, 0)
    assert till.v1.transfers.retrieve(str(payout.stripe_transfer)).reversed
    send_notices()
    [said] = mail.outbox
    assert said.to == [provider.email]
    assert "$100.00 is among your earnings again" in said.body
    assert "The bank account has been closed." in said.body


def test_a_payout_that_failed_can_be_tried_again_once(till: Till, provider: User) -> None:
    till.onboard(provider, number=CLOSED)
    rich(provider)
    failed = ask(provider, 40)
    go_on()
    till.bank()
    go_on()
    failed.refresh_from_db()
    again = retry_payout(payout=failed, user=provider)
    assert (again.amount_nano, again.retry_of) == (40 * DOLLAR, failed)
    with pytest.raises(PayoutNotInState):
        retry_payout(payout=failed, user=provider)
    with pytest.raises(PayoutNotInState):
        retry_payout(payout=again, user=provider)


def test_a_bank_that_sends_it_back_later_undoes_the_payout(
    till: Till, provider: User, account: ConnectAccount, settings: Settings
) -> None:
    settings.PAYOUT_FEE_NANO = DOLLAR
    rich(provider)
    payout = ask(provider)
    go_on()
    till.bank()
    till.deliver()
    assert store_wallet(WalletKind.PLATFORM).posted_nano == DOLLAR
    payout.refresh_from_db()
    till.bank_returns(payout)
    till.deliver()
    payout.refresh_from_db()
    assert payout.status == PayoutStatus.REVERSED
    assert balances(provider.personal_organization) == (100 * DOLLAR, 0)
    assert store_wallet(WalletKind.PLATFORM).posted_nano == 0


@pytest.mark.parametrize("is_paid", [False, True])
def test_a_transfer_that_a_person_reverses_at_stripe_is_earnings_again(
    till: Till, provider: User, account: ConnectAccount, is_paid: bool
) -> None:
    rich(provider)
    payout = ask(provider)
    go_on()
    payout.refresh_from_db()
    if is_paid:
        till.bank()
        till.deliver()
    till.change(str(payout.stripe_transfer), reversed=True, amount_reversed=10_000)
    go_on()
    payout.refresh_from_db()
    assert (payout.status, payout.failure_code) == (PayoutStatus.REVERSED, "transfer_reversed")
    assert balances(provider.personal_organization) == (100 * DOLLAR, 0)


def test_a_payout_is_cancelled_while_it_is_pending(till: Till, provider: User, account: ConnectAccount) -> None:
    rich(provider)
    payout = ask(provider)
    cancel_payout(payout=payout, user=provider)
    assert (payout.status, balances(provider.personal_organization)) == (PayoutStatus.CANCELLED, (100 * DOLLAR, 0))
    go_on()
    assert not StripeObject.objects.filter(kind="transfer").exists()
    again = ask(provider)
    go_on()
    with pytest.raises(PayoutNotInState):
        cancel_payout(payout=again, user=provider)
    with pytest.raises(PayoutNotInState):
        cancel_payout(payout=payout, user=provider)


def test_an_account_in_another_currency_is_sent_what_arrived_there(till: Till, provider: User) -> None:
    till.onboard(provider, country="DE")
    rich(provider)
    payout = ask(provider)
    go_on()
    till.bank()
    till.deliver()
    payout.refresh_from_db()
    assert (payout.status, payout.arrived_minor, payout.arrived_currency) == (PayoutStatus.PAID, 9_000, "eur")
    assert payout.sent_nano == 100 * DOLLAR


def test_what_is_less_than_a_cent_stays(provider: User, account: ConnectAccount) -> None:
    earn(provider.personal_organization, 12 * DOLLAR + 345_678_901)
    pass_days(8)
    payout = ask(provider)
    assert payout.amount_nano == 12_340_000_000
    assert balances(provider.personal_organization)[0] == 5_678_901


@pytest.mark.parametrize(("flat", "ppm"), [(0, 0), (250_000_000, 0), (0, 2_500), (250_000_000, 2_500), (1, 999_999)])
def test_the_fee_is_exact_and_nothing_more_could_be_sent(settings: Settings, flat: int, ppm: int) -> None:
    settings.PAYOUT_FEE_NANO, settings.PAYOUT_FEE_PPM = flat, ppm
    for amount in (0, 1, 260_000_000, 10 * DOLLAR, 12_345_678_901, 99_999 * DOLLAR + 7):
        found = quote(amount)
        assert found.sent_nano % 10_000_000 == 0
        assert found.amount_nano <= amount
        cent_more = found.sent_nano + 10_000_000
        assert cent_more + fee_of(cent_more) > amount


def test_what_cannot_be_paid_is_refused_and_says_how_much_could(provider: User, account: ConnectAccount) -> None:
    with pytest.raises(InsufficientEarnings):
        ask(provider)
    rich(provider, 50)
    earn(provider.personal_organization, 1000 * DOLLAR)
    with pytest.raises(InsufficientEarnings, match=r"\$50.00 are available"):
        ask(provider, 51)
    with pytest.raises(BelowMinimum, match=r"\$10.00"):
        ask(provider, 9)
    ask(provider, 20)
    with pytest.raises(PayoutPending):
        ask(provider, 20)
    assert Payout.objects.count() == 1


def test_only_the_roles_of_money_pay_out(till: Till, provider: User, stranger: User, account: ConnectAccount) -> None:
    rich(provider)
    organization = provider.personal_organization
    verbs = (
        lambda: request_payout(organization=organization, user=stranger),
        lambda: start_onboarding(organization=organization, user=stranger),
        lambda: set_schedule(organization=organization, user=stranger, interval="daily"),
    )
    for verb in verbs:
        with pytest.raises(NotFound):
            verb()
    membership = Membership.objects.create(organization=organization, user=stranger, role=Role.DEVELOPER)
    for verb in verbs:
        with pytest.raises(PermissionDenied):
            verb()
    Membership.objects.filter(pk=membership.pk).update(role=Role.BILLING)
    assert request_payout(organization=organization, user=stranger).created_by == stranger


def test_an_account_that_is_not_ready_is_not_paid(till: Till, provider: User) -> None:
    rich(provider)
    with pytest.raises(AccountNotReady):
        ask(provider)
    start_onboarding(organization=provider.personal_organization, user=provider)
    with pytest.raises(AccountNotReady):
        ask(provider)


def test_an_account_that_is_restricted_meanwhile_fails_the_payout(
    till: Till, provider: User, account: ConnectAccount
) -> None:
    rich(provider)
    payout = ask(provider)
    at_stripe.ask_for_more(StripeObject.objects.get(pk=account.stripe_id).data, "individual.id_number")
    go_on()
    payout.refresh_from_db()
    assert (payout.status, payout.failure_code) == (PayoutStatus.FAILED, "insufficient_capabilities_for_transfer")
    assert balances(provider.personal_organization) == (100 * DOLLAR, 0)


def test_real_money_and_test_money_are_never_mixed(provider: User, account: ConnectAccount, settings: Settings) -> None:
    rich(provider)
    transfer(
        key="real", debit_id=store_wallet(WalletKind.BANK).pk, amount_nano=1, kind=TransferKind.GRANT,
        credit_id=wallet_of(provider.personal_organization.pk, WalletKind.CREDIT).pk,
    )  # fmt: skip
    with pytest.raises(MixedMoney):
        ask(provider)
    settings.SANDBOX, settings.STRIPE_LIVE = False, True
    ConnectAccount.objects.update(place=Place.LIVE)
    with pytest.raises(MixedMoney):
        ask(provider)


def test_a_payout_made_with_other_keys_waits(
    till: Till, provider: User, account: ConnectAccount, settings: Settings
) -> None:
    rich(provider)
    payout = ask(provider)
    settings.SANDBOX = False
    go_on()
    payout.refresh_from_db()
    assert payout.status == PayoutStatus.PENDING
    assert "other keys" in payout.trouble


@pytest.mark.parametrize(
    ("interval", "when"),
    [(Interval.DAILY, (2026, 12, 31)), (Interval.WEEKLY, (2027, 1, 4)), (Interval.MONTHLY, (2027, 1, 1))],
)
def test_a_schedule_names_the_next_midnight(interval: Interval, when: tuple[int, int, int]) -> None:
    assert next_time(interval, datetime(2026, 12, 30, 23, 59, tzinfo=UTC)) == datetime(*when, tzinfo=UTC)


def test_a_schedule_asks_by_itself_and_says_why_it_does_not(
    till: Till, provider: User, account: ConnectAccount
) -> None:
    organization = provider.personal_organization
    rich(provider, 30)
    schedule = set_schedule(organization=organization, user=provider, interval="daily", minimum_nano=50 * DOLLAR)
    assert due_schedules() == []

    def strike() -> None:
        PayoutSchedule.objects.update(next_at=datetime(2020, 1, 1, tzinfo=UTC))
        assert due_schedules() == [schedule.pk]
        run_schedule(schedule.pk)
        run_schedule(schedule.pk)
        schedule.refresh_from_db()

    strike()
    assert not Payout.objects.exists()
    assert "$50.00" in schedule.skipped
    rich(provider, 30)
    strike()
    assert (Payout.objects.get().amount_nano, schedule.skipped) == (60 * DOLLAR, "")
    assert due_schedules() == []
    set_schedule(organization=organization, user=provider, interval="manual")
    assert PayoutSchedule.objects.get().next_at is None


@pytest.mark.django_db(transaction=True)
def test_two_people_who_press_at_once_ask_for_one_payout(till: Till, provider: User, account: ConnectAccount) -> None:
    rich(provider)

    def press(_turn: int) -> str:
        try:
            return str(ask(provider, 30).pk)
        except StoreError as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(press, range(8)))
    assert sorted(said)[1:] == ["payout_pending"] * 7
    assert balances(provider.personal_organization) == (70 * DOLLAR, 30 * DOLLAR)
