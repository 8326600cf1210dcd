"""What those who run the store do with earnings: paid out, tried again, let go before their time."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.urls import reverse

from store.accounts.models import User
from store.backoffice.actions import Wish, approve, request_action
from store.backoffice.models import ActionKind, ActionStatus, AdminAction
from store.backoffice.outcomes import outcome_of
from store.errors import InvalidRequest, PermissionDenied
from store.ledger.actions import store_wallet
from store.ledger.earnings import claw_back, earnings_of
from store.ledger.models import EarningsRelease, WalletKind
from store.payouts.actions import cancel_payout, request_payout
from store.payouts.errors import InsufficientEarnings, PayoutNotInState
from store.payouts.models import ConnectAccount, Origin, Payout, PayoutStatus
from tests.conftest import DOLLAR
from tests.store.backoffice.conftest import SignedIn
from tests.store.payouts.conftest import account, earn, pass_days

__all__ = ["account"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("proven")]


def wish(user: User, kind: ActionKind) -> Wish:
    return Wish(kind=kind, organization=user.personal_organization, reason="They asked.")


def rich(user: User, dollars: int) -> None:
    earn(user.personal_organization, dollars * DOLLAR)
    pass_days(8)


def state(user: User) -> tuple[int, int]:
    """(available, held back), in dollars."""
    found = earnings_of(user.personal_organization.pk)
    return found.available_nano // DOLLAR, found.held_back_nano // DOLLAR


def form(**more: str) -> dict[str, str]:
    return {"id": str(uuid4()), "reason": "They asked.", **more}


def page(kind: str) -> str:
    return reverse(f"admin:backoffice_adminaction_{kind}")


def test_a_payout_counts_with_all_that_is_available(
    account: ConnectAccount, provider: User, operator: User, approver: User
) -> None:
    rich(provider, 90)
    assert request_action(wish=wish(provider, ActionKind.PAYOUT), user=operator).amount_nano == 90 * DOLLAR
    paid = Payout.objects.get()
    assert (paid.amount_nano, paid.origin, paid.created_by) == (90 * DOLLAR, Origin.STORE, None)
    cancel_payout(payout=paid, user=provider)
    waits = request_action(wish=wish(provider, ActionKind.PAYOUT), user=operator)
    assert (waits.status, Payout.objects.count()) == (ActionStatus.WAITING, 1)
    rich(provider, 30)
    approve(action=waits, user=approver)
    assert Payout.objects.latest("pk").amount_nano == 90 * DOLLAR  # what was approved, whatever came in since
    assert state(provider) == (30, 0)


def test_a_payout_that_there_is_nothing_for_is_not_asked_for(provider: User, operator: User) -> None:
    earn(provider.personal_organization, 500 * DOLLAR)
    with pytest.raises(InvalidRequest, match="Nothing of its earnings is available"):
        request_action(wish=wish(provider, ActionKind.PAYOUT), user=operator)


def test_a_payout_that_has_not_arrived_is_tried_again_once(
    account: ConnectAccount, provider: User, operator: User, approver: User, signed_in: SignedIn
) -> None:
    rich(provider, 150)
    payout = request_payout(organization=provider.personal_organization, user=provider)
    client = signed_in(operator)
    lead, seen = (reverse(f"admin:payouts_payout_{name}", args=[payout.pk]) for name in ("retry", "change"))
    assert lead not in client.get(seen).content.decode()
    early = client.post(page("retry_payout"), form(payout=str(payout.pk)))
    assert "Only a payout that has not arrived" in str(early.context["form"].errors)
    cancel_payout(payout=payout, user=provider)
    assert lead in client.get(seen).content.decode()
    assert client.get(lead, follow=True).context["form"]["payout"].value() == str(payout.pk)
    said = form(payout=str(payout.pk))
    assert "$150.00" in client.post(page("retry_payout"), said).content.decode()
    client.post(page("retry_payout"), {**said, "confirm": "1"})
    action = AdminAction.objects.get()
    assert (action.status, action.organization) == (ActionStatus.WAITING, provider.personal_organization)
    approve(action=action, user=approver)
    again = Payout.objects.get(retry_of=payout)
    assert (again.amount_nano, again.status, again.origin) == (150 * DOLLAR, PayoutStatus.PENDING, Origin.STORE)
    assert "Pending" in client.get(reverse("admin:backoffice_adminaction_change", args=[action.pk])).content.decode()
    with pytest.raises(PayoutNotInState):
        request_action(wish=Wish(kind=ActionKind.RETRY_PAYOUT, payout=payout, reason="x"), user=operator)


def test_a_payout_is_not_tried_again_with_less_than_it_was(
    account: ConnectAccount, provider: User, operator: User
) -> None:
    rich(provider, 90)
    payout = request_payout(organization=provider.personal_organization, user=provider)
    cancel_payout(payout=payout, user=provider)
    request_payout(organization=provider.personal_organization, user=provider, amount_nano=10 * DOLLAR)
    Payout.objects.filter(status=PayoutStatus.PENDING).update(status=PayoutStatus.IN_FLIGHT)
    with pytest.raises(InsufficientEarnings):
        request_action(wish=Wish(kind=ActionKind.RETRY_PAYOUT, payout=payout, reason="x"), user=operator)
    assert not AdminAction.objects.exists()


def test_what_is_held_back_is_let_go_and_what_comes_later_is_not(provider: User, operator: User) -> None:
    earn(provider.personal_organization, 60 * DOLLAR)
    action = request_action(wish=wish(provider, ActionKind.RELEASE_HOLD_BACK), user=operator)
    assert (action.status, action.amount_nano, state(provider)) == (ActionStatus.DONE, 60 * DOLLAR, (60, 0))
    earn(provider.personal_organization, 5 * DOLLAR)
    assert state(provider) == (60, 5)
    assert outcome_of(action) is None


def test_while_a_release_waits_nothing_is_added_to_it(provider: User, operator: User, approver: User) -> None:
    earn(provider.personal_organization, 150 * DOLLAR)
    action = request_action(wish=wish(provider, ActionKind.RELEASE_HOLD_BACK), user=operator)
    assert (action.status, state(provider)) == (ActionStatus.WAITING, (0, 150))
    claw_back(
        key="claw", organization_id=provider.personal_organization.pk, at_most_nano=40 * DOLLAR,
        credit_id=store_wallet(WalletKind.PLATFORM).pk,
    )  # fmt: skip
    earn(provider.personal_organization, 25 * DOLLAR)
    approve(action=action, user=approver)
    assert state(provider) == (110, 25)


def test_what_is_not_held_back_is_not_let_go(provider: User, operator: User) -> None:
    rich(provider, 20)
    with pytest.raises(InvalidRequest, match="held back"):
        request_action(wish=wish(provider, ActionKind.RELEASE_HOLD_BACK), user=operator)
    assert not EarningsRelease.objects.exists()


def test_only_who_may_lets_go(
    provider: User, approver: User, accountant: User, operator: User, signed_in: SignedIn
) -> None:
    earn(provider.personal_organization, 60 * DOLLAR)
    for user in (approver, accountant, provider):
        with pytest.raises(PermissionDenied):
            request_action(wish=wish(provider, ActionKind.RELEASE_HOLD_BACK), user=user)
    assert signed_in(accountant).get(page("release_earnings")).status_code == 403
    client = signed_in(operator)
    said = form(organization="provider")
    assert "$60.00" in client.post(page("release_earnings"), said).content.decode()
    client.post(page("release_earnings"), {**said, "confirm": "1"})
    assert state(provider) == (60, 0)
    assert client.get(reverse("admin:ledger_earningsrelease_changelist")).status_code == 200
