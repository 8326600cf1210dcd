"""The admin site: two factors, and books that nobody edits."""

from __future__ import annotations

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib import admin as django_admin
from django.test import Client, RequestFactory
from django.urls import reverse

from store.accounts.models import User
from store.billing.models import Topup
from store.catalog.models import Blob, Price, Release
from store.keys.actions import IssuedKey
from store.keys.models import ApiKey
from store.ledger.models import Hold, Transfer, Wallet
from store.runs.models import Gateway, Run

READ_ONLY = (Wallet, Transfer, Hold, Run, Release, Price, Topup, ApiKey, Blob, Gateway)


@pytest.mark.django_db
def test_a_visitor_is_sent_to_the_stores_own_sign_in(client: Client) -> None:
    response = client.get("/admin/", follow=True)
    assert response.redirect_chain[-1][0].startswith(reverse("account_login"))


@pytest.mark.django_db
def test_staff_without_a_second_factor_set_one_up_first(client: Client, admin: User) -> None:
    client.force_login(admin)
    response = client.get("/admin/ledger/transfer/", follow=True)
    assert response.redirect_chain[-1][0] == reverse("mfa_index")
    assert "two-factor" in response.content.decode()


@pytest.mark.django_db
def test_customers_and_moderators_do_not_get_in(client: Client, consumer: User, moderator: User) -> None:
    for user in (consumer, moderator):
        TOTP.activate(user, generate_totp_secret())
        client.force_login(user)
        assert client.get("/admin/", follow=True).status_code == 403


@pytest.mark.django_db
def test_every_list_and_row_opens(staff: Client, issued_key: IssuedKey, wallet: Wallet) -> None:
    for model, model_admin in django_admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert staff.get(reverse(f"{name}_changelist"), {"q": "a"}).status_code == 200, model
        row = model_admin.get_queryset(RequestFactory().get("/")).first()
        if row is not None:
            assert staff.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200, model


@pytest.mark.django_db
@pytest.mark.parametrize("model", READ_ONLY)
def test_not_even_a_superuser_adds_changes_or_deletes(admin: User, model: type) -> None:
    request = RequestFactory().get("/")
    request.user = admin
    model_admin = django_admin.site._registry[model]
    assert not model_admin.has_add_permission(request)
    assert not model_admin.has_change_permission(request)
    assert not model_admin.has_delete_permission(request)
    assert model_admin.has_view_permission(request)
    assert set(model_admin.get_actions(request)) <= {"give_back"}  # a refund is a verb, with a reason


@pytest.mark.django_db
def test_a_forged_post_changes_no_wallet(staff: Client, wallet: Wallet) -> None:
    address = reverse("admin:ledger_wallet_change", args=[wallet.pk])
    assert staff.post(address, {"kind": "credit", "posted_nano": 1}).status_code == 403
    assert staff.post(reverse("admin:ledger_transfer_add"), {}).status_code == 403


@pytest.mark.django_db
def test_no_digest_of_a_secret_is_shown(staff: Client, issued_key: IssuedKey, admin: User) -> None:
    page = staff.get(reverse("admin:keys_apikey_change", args=[issued_key.api_key.pk])).content.decode()
    assert issued_key.api_key.prefix in page
    assert "digest" not in page
    factor = staff.get(reverse("admin:accounts_user_change", args=[admin.pk])).content.decode()
    assert "secret" not in factor
