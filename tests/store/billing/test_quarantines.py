"""What came from Stripe and was not as it should be: somebody writes once what was done about it."""

from __future__ import annotations

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.models import Permission
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from store.accounts.models import User
from store.billing.models import Quarantine, QuarantineReason
from store.billing.quarantines import ResolvedAlready, resolve
from store.billing.settling import quarantine
from store.errors import InvalidRequest, PermissionDenied
from tests.conftest import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def row(db: None) -> Quarantine:
    quarantine("pi_1", QuarantineReason.UNKNOWN, expected="a top-up", found="none")
    return Quarantine.objects.get()


@pytest.fixture
def clerk(db: None) -> User:
    """Who may write it down, and no more."""
    user = make_user("clerk", is_staff=True)
    codenames = ("resolve_quarantine", "view_quarantine")
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def browser(user: User) -> Client:
    TOTP.activate(user, generate_totp_secret())
    client = Client()
    client.force_login(user)
    return client


def test_what_was_done_is_written_once(row: Quarantine, clerk: User, admin: User) -> None:
    done = resolve(row=row, user=clerk, words=" Refunded at Stripe. ")
    assert (done.resolution, done.resolved_by) == ("Refunded at Stripe.", clerk)
    assert done.resolved_at
    with pytest.raises(ResolvedAlready):
        resolve(row=row, user=admin, words="Something else.")
    quarantine("pi_1", QuarantineReason.UNKNOWN, expected="a top-up", found="none")  # it is listed again every night
    assert Quarantine.objects.get().resolved_by == clerk


@pytest.mark.parametrize("words", ["", "  ", "x" * 2001, "a\0b"])
def test_what_says_nothing_is_refused(row: Quarantine, clerk: User, words: str) -> None:
    with pytest.raises(InvalidRequest):
        resolve(row=row, user=clerk, words=words)
    assert not Quarantine.objects.get().resolved_at


def test_only_who_may_writes_it(row: Quarantine, consumer: User) -> None:
    staff = make_user("staff", is_staff=True)
    for user in (consumer, staff):
        with pytest.raises(PermissionDenied):
            resolve(row=row, user=user, words="x")
    url = reverse("admin:billing_quarantine_resolve", args=[row.pk])
    assert browser(staff).post(url, {"words": "x"}).status_code == 403


def test_the_database_lets_it_be_written_once_and_nothing_else(row: Quarantine, clerk: User) -> None:
    for query in ("UPDATE billing_quarantine SET found = 'all well'", "DELETE FROM billing_quarantine"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(query)
    resolve(row=row, user=clerk, words="Refunded at Stripe.")
    for fields in ({"resolution": "No."}, {"resolution": "", "resolved_by": None, "resolved_at": None}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Quarantine.objects.update(**fields)


def test_it_is_written_on_a_page_and_open_ones_are_listed(row: Quarantine, clerk: User) -> None:
    client = browser(clerk)
    listed, seen, url = (
        reverse("admin:billing_quarantine_changelist"),
        reverse("admin:billing_quarantine_change", args=[row.pk]),
        reverse("admin:billing_quarantine_resolve", args=[row.pk]),
    )
    assert "pi_1" in client.get(listed, {"resolved_at__isempty": "1"}).content.decode()
    assert url in client.get(seen).content.decode()
    refused = client.post(url, {"words": " "})
    assert (refused.status_code, "Say what was done" in refused.content.decode()) == (400, True)
    assert "Refunded at Stripe." in client.post(url, {"words": "Refunded at Stripe."}, follow=True).content.decode()
    assert url not in client.get(seen).content.decode()
    assert client.post(url, {"words": "Again."}).status_code == 403
    assert "pi_1" not in client.get(listed, {"resolved_at__isempty": "1"}).content.decode()
    assert "pi_1" in client.get(listed, {"resolved_at__isempty": "0"}).content.decode()
    for missing in ("0", "x"):
        assert client.get(reverse("admin:billing_quarantine_resolve", args=[missing])).status_code == 404
