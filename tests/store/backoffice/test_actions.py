"""What people who run the store do with money: asked for, decided, done, and written down for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import Settings

from store.accounts.models import User
from store.backoffice.actions import Wish, approve, expire_actions, refuse, request_action
from store.backoffice.errors import ActionDecided, NotEnough, OwnRequest
from store.backoffice.models import ActionKind, ActionStatus, AdminAction
from store.errors import InvalidRequest, PermissionDenied, StoreError
from store.ledger.actions import NewHold, place_holds, store_wallet, wallet_of
from store.ledger.models import Transfer, Wallet, WalletKind

pytestmark = pytest.mark.django_db
DOLLAR = 10**9


def grant(consumer: User, dollars: int, **more: object) -> Wish:
    organization = consumer.personal_organization
    wish = {
        "kind": ActionKind.GRANT,
        "organization": organization,
        "amount_nano": dollars * DOLLAR,
        "reason": "Sorry.",
        "days": 30,
        "note": "Sorry.",
    }
    return Wish(**{**wish, **more})  # type: ignore[arg-type]


def posted(consumer: User, kind: WalletKind = WalletKind.CREDIT) -> int:
    return wallet_of(consumer.personal_organization.pk, kind).posted_nano


def adjust(debit: Wallet, credit: Wallet, nano: int) -> Wish:
    return Wish(kind=ActionKind.ADJUST, debit=debit, credit=credit, amount_nano=nano, reason="Booked twice.")


@pytest.mark.usefixtures("proven")
def test_a_small_grant_is_done_at_once_and_says_who_and_why(operator: User, consumer: User) -> None:
    action = request_action(wish=grant(consumer, 5), user=operator)
    assert (action.status, action.needs_approval, action.requested_by) == (ActionStatus.DONE, False, operator)
    assert posted(consumer) == 5 * DOLLAR
    moved = Transfer.objects.get(key=f"grant:{action.pk}")
    assert (moved.kind, moved.debit.kind, moved.amount_nano) == ("grant", "platform", 5 * DOLLAR)


@pytest.mark.usefixtures("proven")
def test_a_large_grant_waits_for_a_second_person(operator: User, approver: User, consumer: User) -> None:
    action = request_action(wish=grant(consumer, 500), user=operator)
    assert (action.status, posted(consumer)) == (ActionStatus.WAITING, 0)
    done = approve(action=action, user=approver, answer="Agreed.")
    assert (done.status, done.decided_by, done.answer) == (ActionStatus.DONE, approver, "Agreed.")
    assert posted(consumer) == 500 * DOLLAR


def test_many_small_ones_within_a_day_are_one_large(operator: User, consumer: User) -> None:
    first, second, third = (request_action(wish=grant(consumer, 40), user=operator) for _ in range(3))
    assert [one.status for one in (first, second, third)] == ["done", "done", "waiting"]
    assert posted(consumer) == 80 * DOLLAR


def test_everything_waits_where_the_limit_is_zero(settings: Settings, operator: User, consumer: User) -> None:
    settings.FOUR_EYES_USD = 0
    assert request_action(wish=grant(consumer, 0, amount_nano=1), user=operator).status == ActionStatus.WAITING


def test_a_refusal_says_why_and_moves_nothing(operator: User, approver: User, consumer: User) -> None:
    action = request_action(wish=grant(consumer, 500), user=operator)
    with pytest.raises(InvalidRequest):
        refuse(action=action, user=approver, answer=" ")
    assert refuse(action=action, user=approver, answer="Too much.").status == ActionStatus.REFUSED
    with pytest.raises(ActionDecided):
        approve(action=action, user=approver)
    assert posted(consumer) == 0


def test_nobody_decides_on_their_own_request_not_even_a_superuser(admin: User, consumer: User) -> None:
    action = request_action(wish=grant(consumer, 500), user=admin)
    with pytest.raises(OwnRequest):
        approve(action=action, user=admin)
    with pytest.raises(IntegrityError), transaction.atomic():
        AdminAction.objects.filter(pk=action.pk).update(status="done", decided_by=admin)
    assert posted(consumer) == 0


def test_each_may_do_what_their_group_may(
    operator: User, approver: User, accountant: User, consumer: User, stranger: User
) -> None:
    for user in (approver, accountant, stranger, consumer):
        with pytest.raises(PermissionDenied):
            request_action(wish=grant(consumer, 1), user=user)
    action = request_action(wish=grant(consumer, 500), user=operator)
    for user in (accountant, stranger, consumer):
        with pytest.raises(PermissionDenied):
            approve(action=action, user=user)
    approve(action=action, user=approver)


def test_who_asked_must_still_be_allowed_to_when_it_is_done(operator: User, approver: User, consumer: User) -> None:
    action = request_action(wish=grant(consumer, 500), user=operator)
    operator.groups.clear()
    with pytest.raises(PermissionDenied):
        approve(action=action, user=approver)
    assert AdminAction.objects.get().status == ActionStatus.WAITING


def test_a_request_expires(operator: User, approver: User, consumer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.backoffice.actions.requesting.WAITS", timedelta(seconds=-1))
    action = request_action(wish=grant(consumer, 500), user=operator)
    with pytest.raises(ActionDecided):
        approve(action=action, user=approver)
    assert expire_actions() == 1
    assert AdminAction.objects.get().status == ActionStatus.EXPIRED


def test_the_same_request_again_is_one(operator: User, stranger: User, consumer: User, admin: User) -> None:
    wish = grant(consumer, 5)
    assert request_action(wish=wish, user=operator) == request_action(wish=wish, user=operator)
    assert (posted(consumer), AdminAction.objects.count()) == (5 * DOLLAR, 1)
    with pytest.raises(ActionDecided):
        request_action(wish=wish, user=admin)


@pytest.mark.parametrize(
    "broken",
    [
        {"reason": "  "},
        {"amount_nano": 0},
        {"amount_nano": -1},
        {"organization": None},
        {"days": 0},
        {"days": 9999},
        {"days": None},
        {"note": ""},
        {"amount_nano": 10_001 * DOLLAR},
    ],
)
def test_what_is_not_whole_is_refused(operator: User, consumer: User, broken: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        request_action(wish=grant(consumer, 1, **broken), user=operator)
    assert not AdminAction.objects.exists()


@pytest.mark.usefixtures("proven")
def test_a_correction_moves_between_any_two_wallets(
    operator: User, consumer: User, provider: User, wallet: Wallet
) -> None:
    earnings = wallet_of(provider.personal_organization.pk, WalletKind.EARNINGS)
    action = request_action(wish=adjust(wallet, earnings, DOLLAR), user=operator)
    assert (posted(consumer), posted(provider, WalletKind.EARNINGS)) == (9 * DOLLAR, DOLLAR)
    assert Transfer.objects.get(key=f"admin:{action.pk}").kind == "correction"
    back = request_action(wish=adjust(store_wallet(WalletKind.PLATFORM), wallet, 7), user=operator)
    assert (back.status, posted(consumer)) == (ActionStatus.DONE, 9 * DOLLAR + 7)


@pytest.mark.usefixtures("proven")
def test_a_correction_takes_nobody_below_zero_nor_what_is_held(operator: User, provider: User, wallet: Wallet) -> None:
    place_holds(
        [
            NewHold(
                id=uuid4(), wallet_id=wallet.pk, amount_nano=8 * DOLLAR, expires_at=timezone.now() + timedelta(hours=1)
            )
        ]
    )
    earnings = wallet_of(provider.personal_organization.pk, WalletKind.EARNINGS)
    for debit, credit in ((wallet, earnings), (earnings, wallet)):
        with pytest.raises(NotEnough):
            request_action(wish=adjust(debit, credit, 3 * DOLLAR), user=operator)
    with pytest.raises(InvalidRequest):
        request_action(wish=adjust(wallet, wallet, 1), user=operator)
    assert not AdminAction.objects.exists()


def test_a_row_of_the_trail_is_never_changed_or_deleted(operator: User, approver: User, consumer: User) -> None:
    done = request_action(wish=grant(consumer, 5), user=operator)
    waiting = request_action(wish=grant(consumer, 500), user=operator)
    for query in (
        f"UPDATE backoffice_adminaction SET reason = 'another' WHERE id = '{done.pk}'",
        f"UPDATE backoffice_adminaction SET amount_nano = 1 WHERE id = '{waiting.pk}'",
        f"UPDATE backoffice_adminaction SET status = 'done' WHERE id = '{waiting.pk}'",
        f"UPDATE backoffice_adminaction SET amount_nano = 1, status = 'done', decided_by_id = {approver.pk} WHERE id = '{waiting.pk}'",
        f"DELETE FROM backoffice_adminaction WHERE id = '{done.pk}'",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(query)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_approve_at_once_one_has_an_effect(
    operator: User, approver: User, consumer: User, admin: User
) -> None:
    action = request_action(wish=grant(consumer, 500), user=operator)

    def decide(user: User) -> str:
        try:
            return approve(action=AdminAction.objects.get(pk=action.pk), user=user).status
        except StoreError as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(decide, [approver, admin, approver, admin]))
    assert answers == ["action_decided"] * 3 + ["done"]
    assert posted(consumer) == 500 * DOLLAR


@pytest.mark.django_db(transaction=True)
def test_requests_of_one_person_at_once_are_added_up(operator: User, consumer: User) -> None:
    organization = consumer.personal_organization
    wallet_of(organization.pk, WalletKind.CREDIT)

    def ask(_number: int) -> str:
        try:
            return request_action(wish=grant(consumer, 60, organization=organization), user=operator).status
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, range(4))) == ["done", "waiting", "waiting", "waiting"]
    assert posted(consumer) == 60 * DOLLAR
