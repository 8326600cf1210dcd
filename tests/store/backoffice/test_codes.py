"""Promo codes are promises of money: made by those who may, above the limit by two, and ended by one."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from store.accounts.models import User
from store.backoffice.actions import Wish, approve, request_action
from store.backoffice.models import ActionKind, ActionStatus, AdminAction
from store.billing.models import PromoCode
from store.billing.promo import CodeTerms
from store.errors import InvalidRequest, PermissionDenied
from tests.conftest import DOLLAR
from tests.store.backoffice.conftest import SignedIn

pytestmark = pytest.mark.django_db


def wish(**terms: object) -> Wish:
    whole = CodeTerms(**{"code": "SPRING", "amount_nano": 5 * DOLLAR, "total_limit": 10, **terms})  # type: ignore[arg-type]
    return Wish(kind=ActionKind.PROMO_CODE, code_terms=whole, reason="For the fair.")


def form(**more: object) -> dict[str, object]:
    return {
        "id": str(uuid4()), "code": "spring", "gives": "5", "percent": "", "most": "", "lives_days": "30", "total_limit": "10",
        "organization_limit": "1", "ends_at": "", "reason": "For the fair.", **more,
    }  # fmt: skip


def page(kind: str) -> str:
    return reverse(f"admin:backoffice_adminaction_{kind}")


@pytest.mark.parametrize(
    ("terms", "status", "nano"),
    [
        ({}, "done", 50 * DOLLAR),
        ({"total_limit": 20}, "done", 100 * DOLLAR),
        ({"total_limit": 21}, "waiting", 105 * DOLLAR),
        ({"total_limit": None}, "waiting", None),
        ({"amount_nano": None, "percent": 10, "most_nano": 10 * DOLLAR}, "done", 100 * DOLLAR),
        ({"amount_nano": None, "percent": 10, "most_nano": 11 * DOLLAR}, "waiting", 110 * DOLLAR),
        ({"amount_nano": None, "percent": 1, "total_limit": 1}, "waiting", 10_000 * DOLLAR),
    ],
)
def test_what_a_code_can_ever_give_counts(operator: User, terms: dict[str, object], status: str, nano: int) -> None:
    action = request_action(wish=wish(**terms), user=operator)
    assert (action.status, action.amount_nano) == (status, nano)
    assert PromoCode.objects.count() == (status == "done")


def test_a_code_without_a_limit_waits_even_where_nothing_else_does(operator: User, approver: User) -> None:
    ends_at = timezone.now() + timedelta(days=9)
    action = request_action(wish=wish(total_limit=None, ends_at=ends_at, first_topup_only=True), user=operator)
    made_at = timezone.now()
    approve(action=action, user=approver)
    code = PromoCode.objects.get()
    assert (code.created_by, code.ends_at, code.first_topup_only, code.total_limit) == (operator, ends_at, True, None)
    assert code.starts_at >= made_at


def test_a_word_that_was_taken_meanwhile_is_refused_when_it_is_approved(operator: User, approver: User) -> None:
    action = request_action(wish=wish(total_limit=None), user=operator)
    request_action(wish=wish(), user=operator)
    with pytest.raises(InvalidRequest, match="not taken"):
        approve(action=action, user=approver)
    assert AdminAction.objects.get(pk=action.pk).status == ActionStatus.WAITING


def test_only_who_may_makes_and_ends_codes(operator: User, approver: User, accountant: User, consumer: User) -> None:
    request_action(wish=wish(), user=operator)
    code = PromoCode.objects.get()
    for user in (approver, accountant, consumer):
        for asked in (wish(code="OTHER"), Wish(kind=ActionKind.END_CODE, code=code, reason="x")):
            with pytest.raises(PermissionDenied):
                request_action(wish=asked, user=user)
    ended = request_action(wish=Wish(kind=ActionKind.END_CODE, code=code, reason="It leaked."), user=operator)
    code.refresh_from_db()
    assert (ended.status, ended.code) == (ActionStatus.DONE, code)
    assert code.ends_at


def test_codes_are_made_and_ended_on_pages(operator: User, accountant: User, signed_in: SignedIn) -> None:
    client = signed_in(operator)
    assert client.get(reverse("admin:billing_promocode_make"), follow=True).status_code == 200
    said = form()
    assert "SPRING: $5.00" in client.post(page("promo_code"), said).content.decode()
    client.post(page("promo_code"), {**said, "confirm": "1"})
    code = PromoCode.objects.get()
    assert (code.code, code.amount_nano, code.total_limit) == ("SPRING", 5 * DOLLAR, 10)
    asked = client.get(reverse("admin:billing_promocode_end", args=[code.pk]), follow=True).context["form"]
    assert asked["code"].value() == str(code.pk)
    for word, words in (("nothing", "no code like this"), ("spring", "")):
        ended = client.post(
            page("end_code"), {"id": str(uuid4()), "code": word, "reason": "It leaked.", "confirm": "1"}
        )
        assert words in (str(ended.context["form"].errors) if words else "")
    code.refresh_from_db()
    assert code.ends_at
    shown = client.get(reverse("admin:backoffice_adminaction_change", args=[said["id"]])).content.decode()
    assert reverse("admin:billing_promocode_change", args=[code.pk]) in shown
    other = signed_in(accountant)
    assert other.get(reverse("admin:billing_promocode_end", args=[code.pk])).status_code == 403
    assert other.get(page("promo_code")).status_code == 403
    assert client.get(reverse("admin:billing_promocode_add")).status_code == 403


@pytest.mark.parametrize(
    ("field", "value", "at", "words"),
    [
        ("percent", "10", "None", "either for an amount"),
        ("gives", "", "None", "either for an amount"),
        ("code", "a b", "code", "capital letters"),
        ("most", "4", "most", "goes with a percentage"),
        ("total_limit", "0", "total_limit", "greater than or equal to 1"),
        ("total_limit", "900000", "total_limit", "at most $1,000,000"),
        ("ends_at", "2020-01-01T00:00", "ends_at", "ends after it starts"),
        ("ends_at", "soon", "ends_at", "valid date"),
    ],
)
def test_a_code_that_makes_no_sense_is_said_at_its_field(
    operator: User, signed_in: SignedIn, field: str, value: str, at: str, words: str
) -> None:
    answer = signed_in(operator).post(page("promo_code"), form(**{field: value}, confirm="1"))
    errors = answer.context["form"].errors
    assert words in str(errors["__all__" if at == "None" else at])
    assert not PromoCode.objects.exists()
