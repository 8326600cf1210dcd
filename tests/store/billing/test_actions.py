"""Test money says that it is, and comes from a bank of its own."""

from __future__ import annotations

import pytest
from django.conf import LazySettings

from store.accounts.models import Membership, Role, User
from store.billing.actions import MAX_TOPUP_NANO, top_up_test
from store.billing.models import Topup, TopupMode
from store.errors import InvalidRequest, NotFound, PermissionDenied
from store.ledger.actions import store_wallet, wallet_of
from store.ledger.audit import audit
from store.ledger.models import Transfer, TransferKind, WalletKind

pytestmark = pytest.mark.django_db


def test_a_test_topup_is_marked_and_moves_its_amount_once(consumer: User) -> None:
    topup = top_up_test(organization=consumer.personal_organization, user=consumer, amount_nano=5 * 10**9)
    assert (topup.mode, topup.created_by) == (TopupMode.TEST, consumer)
    assert wallet_of(consumer.personal_organization.id, WalletKind.CREDIT).posted_nano == 5 * 10**9
    assert store_wallet(WalletKind.TEST_BANK).posted_nano == -5 * 10**9
    assert Transfer.objects.get().key == f"topup:{topup.id}"
    assert Transfer.objects.get().kind == TransferKind.TOPUP
    assert audit() == []


def test_a_store_of_real_money_gives_none_away(consumer: User, settings: LazySettings) -> None:
    settings.TEST_MONEY = False
    with pytest.raises(PermissionDenied):
        top_up_test(organization=consumer.personal_organization, user=consumer, amount_nano=1)
    assert not Topup.objects.exists()


@pytest.mark.parametrize("amount_nano", [0, -1, MAX_TOPUP_NANO + 1])
def test_an_amount_out_of_range_is_refused(consumer: User, amount_nano: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        top_up_test(organization=consumer.personal_organization, user=consumer, amount_nano=amount_nano)
    assert caught.value.param == "amount"


def test_only_members_who_may_buy_can(consumer: User, stranger: User) -> None:
    with pytest.raises(NotFound):
        top_up_test(organization=consumer.personal_organization, user=stranger, amount_nano=1)
    Membership.objects.create(organization=consumer.personal_organization, user=stranger, role=Role.DEVELOPER)
    with pytest.raises(PermissionDenied):
        top_up_test(organization=consumer.personal_organization, user=stranger, amount_nano=1)
    assert not Topup.objects.exists()
