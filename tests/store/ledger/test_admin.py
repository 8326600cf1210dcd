"""The books in the admin: amounts as people read them, and nothing that can be changed."""

from __future__ import annotations

import pytest
from django.contrib import admin as site
from django.http import HttpRequest
from django.test import Client
from django.urls import reverse

from store.accounts.models import User
from store.billing.models import Topup
from store.ledger.models import Transfer, Wallet
from store.staff.read_only import ReadOnlyAdmin

pytestmark = pytest.mark.django_db


def page_of(staff: Client, row: Wallet | Transfer | Topup) -> str:
    answer = staff.get(reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_page_of_a_row_says_amounts_in_dollars(staff: Client, wallet: Wallet) -> None:
    for row in (wallet, Transfer.objects.get(), Topup.objects.get()):
        page = page_of(staff, row)
        assert "$10.00" in page
        assert "10000000000" not in page
        assert " nano" not in page


def test_no_page_of_a_row_shows_units_that_nobody_reads(admin: User) -> None:
    request = HttpRequest()
    request.user = admin
    read_only = [one for one in site.site._registry.values() if isinstance(one, ReadOnlyAdmin)]
    assert len(read_only) > 40
    for one in read_only:
        raw = [name for name in one.get_fields(request, one.model.objects.first()) if str(name).endswith("_nano")]
        assert raw == [], one.model


def test_not_even_a_superuser_changes_the_books(staff: Client, wallet: Wallet) -> None:
    address = reverse("admin:ledger_wallet_change", args=[wallet.pk])
    assert staff.post(address, {"posted_nano": "1"}).status_code == 403
    assert staff.post(reverse("admin:ledger_wallet_delete", args=[wallet.pk])).status_code == 403
    assert staff.get(reverse("admin:ledger_transfer_add")).status_code == 403
    wallet.refresh_from_db()
    assert wallet.posted_nano == 10 * 10**9
