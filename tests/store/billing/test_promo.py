"""Promo codes: who may use one, how often, and who gets the last."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone

from store.accounts.models import Membership, Role, TokenScope, User
from store.accounts.tokens import issue_token
from store.billing.models import Grant, PromoCode, Redemption
from store.billing.promo import GUESSES, CodeTerms, PromoRefused, TooManyGuesses, end_code, make_code, redeem
from store.errors import InvalidRequest, NotFound, PermissionDenied
from store.ledger.actions import wallet_of
from store.ledger.models import WalletKind
from tests.conftest import DOLLAR, make_user
from tests.sandboxed import Till


@pytest.fixture(autouse=True)
def no_guesses() -> None:
    cache.clear()


def made(by: User, **terms: Any) -> PromoCode:
    return make_code(user=by, terms=CodeTerms(**{"code": "WELCOME", "amount_nano": 5 * DOLLAR, **terms}))


def use(user: User, code: str = "welcome ") -> Redemption:
    return redeem(organization=user.personal_organization, user=user, code=code)


def credit(user: User) -> int:
    return wallet_of(user.personal_organization.pk, WalletKind.CREDIT).posted_nano


@pytest.mark.django_db
def test_a_code_gives_credit_until_a_day(consumer: User, admin: User) -> None:
    made(admin, lives_days=10)
    grant = use(consumer).grant
    assert grant
    assert credit(consumer) == 5 * DOLLAR
    assert timedelta(days=9) < grant.expires_at - timezone.now() <= timedelta(days=10)
    assert "WELCOME" in grant.reason


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"starts_at": timezone.now() + timedelta(days=1)}, "yet"),
        ({"starts_at": timezone.now() - timedelta(days=2), "ends_at": timezone.now() - timedelta(days=1)}, "ended"),
        ({"code": "OTHER"}, "no such code"),
    ],
)
def test_a_code_that_is_not_good_now_gives_nothing(
    consumer: User, admin: User, terms: dict[str, Any], said: str
) -> None:
    made(admin, **terms)
    with pytest.raises(PromoRefused, match=said):
        use(consumer)
    assert not Grant.objects.exists()


@pytest.mark.django_db
def test_an_organization_uses_a_code_as_often_as_it_may(consumer: User, stranger: User, admin: User) -> None:
    made(admin, organization_limit=2)
    use(consumer)
    use(consumer)
    with pytest.raises(PromoRefused, match="used"):
        use(consumer)
    assert use(stranger).grant
    assert PromoCode.objects.get().redeemed == 3


@pytest.mark.django_db
def test_a_percentage_comes_with_the_next_topup_once(till: Till, consumer: User, admin: User) -> None:
    made(admin, amount_nano=None, percent=20, most_nano=4 * DOLLAR)
    assert use(consumer).grant is None
    till.buy(consumer, dollars=25)
    till.deliver()
    till.deliver()
    assert credit(consumer) == 29 * DOLLAR
    till.buy(consumer, dollars=25)
    till.deliver()
    assert credit(consumer) == 54 * DOLLAR
    assert Redemption.objects.get().grant


@pytest.mark.django_db
def test_a_code_for_a_first_topup_is_for_nobody_who_has_bought(
    till: Till, consumer: User, stranger: User, admin: User
) -> None:
    made(admin, first_topup_only=True)
    till.buy(consumer)
    till.deliver()
    with pytest.raises(PromoRefused, match="first"):
        use(consumer)
    assert use(stranger).grant is None
    till.buy(stranger)
    till.deliver()
    assert credit(stranger) == 30 * DOLLAR


@pytest.mark.django_db
def test_one_code_waits_at_a_time(consumer: User, admin: User) -> None:
    made(admin, first_topup_only=True)
    made(admin, code="TEN", amount_nano=None, percent=10)
    use(consumer)
    with pytest.raises(PromoRefused, match="waits"):
        use(consumer, "TEN")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("terms", "param"),
    [
        ({"code": "a b"}, "code"),
        ({"code": "ÄÖÜ"}, "code"),
        ({"amount_nano": None}, "amount_nano"),
        ({"percent": 10}, "amount_nano"),
        ({"amount_nano": 0}, "amount_nano"),
        ({"amount_nano": None, "percent": 101}, "percent"),
        ({"most_nano": 1}, "most_nano"),
        ({"lives_days": 0}, "lives_days"),
        ({"organization_limit": 0}, "organization_limit"),
        ({"ends_at": timezone.now() - timedelta(days=1)}, "ends_at"),
    ],
)
def test_a_code_that_makes_no_sense_is_not_made(admin: User, terms: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        made(admin, **terms)
    assert caught.value.param == param


@pytest.mark.django_db
def test_codes_are_made_and_ended_by_the_store_only(consumer: User, admin: User) -> None:
    with pytest.raises(PermissionDenied):
        made(consumer)
    code = made(admin)
    with pytest.raises(PermissionDenied):
        end_code(code=code, user=consumer)
    assert [end_code(code=code, user=admin), end_code(code=code, user=admin)] == [True, False]
    with pytest.raises(PromoRefused, match="ended"):
        use(consumer)


@pytest.mark.django_db
def test_only_members_who_may_buy_use_codes(consumer: User, stranger: User, admin: User) -> None:
    made(admin)
    organization = consumer.personal_organization
    with pytest.raises(NotFound):
        redeem(organization=organization, user=stranger, code="WELCOME")
    Membership.objects.create(organization=organization, user=stranger, role=Role.DEVELOPER)
    with pytest.raises(PermissionDenied):
        redeem(organization=organization, user=stranger, code="WELCOME")


@pytest.mark.django_db
def test_codes_cannot_be_guessed_for_long(consumer: User, admin: User) -> None:
    made(admin)
    for number in range(GUESSES):
        with pytest.raises(PromoRefused):
            use(consumer, f"GUESS{number}")
    with pytest.raises(TooManyGuesses):
        use(consumer)


@pytest.mark.django_db(transaction=True)
def test_of_many_people_one_gets_the_last(db: None) -> None:
    admin = make_user("chief", is_staff=True, is_superuser=True)
    people = [make_user(f"person{number}") for number in range(8)]
    made(admin, total_limit=1)

    def run(user: User) -> bool:
        try:
            return use(user).grant is not None
        except PromoRefused:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(run, people)) == 1
    assert (PromoCode.objects.get().redeemed, Grant.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_one_organization_at_once_uses_a_code_once(db: None) -> None:
    made(make_user("chief", is_staff=True))
    user = make_user("person")

    def run(_turn: int) -> bool:
        try:
            return use(user).grant is not None
        except PromoRefused:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(run, range(8))) == 1
    assert credit(user) == 5 * DOLLAR


@pytest.mark.django_db
def test_a_code_is_used_on_the_page(client: Client, consumer: User, admin: User) -> None:
    made(admin)
    client.force_login(consumer)
    assert "Nothing here" in client.get("/wallet/granted").content.decode()
    refused = client.post("/wallet/granted/code", {"code": "nothing"})
    assert (refused.status_code, "There is no such code" in refused.content.decode()) == (409, True)
    assert client.post("/wallet/granted/code", {"code": ""}).status_code == 422
    page = client.post("/wallet/granted/code", {"code": "Welcome"}, follow=True).content.decode()
    assert "The credit is in your wallet" in page
    assert "Code WELCOME" in page
    assert "Code WELCOME" in client.get("/wallet/granted", {"state": "open", "before": "nonsense"}).content.decode()
    assert "Code WELCOME" not in client.get("/wallet/granted", {"state": "ended"}).content.decode()
    assert "$5.00" in client.get("/wallet").content.decode()


@pytest.mark.django_db
def test_a_code_is_used_by_the_api(consumer: User, stranger: User, admin: User) -> None:
    made(admin, amount_nano=None, percent=10)
    made(admin, code="FIVE")
    tokens = [issue_token(user=user, name="t", scopes=[TokenScope.WRITE]).secret for user in (consumer, stranger)]
    mine, other = (Client(headers={"authorization": f"Bearer {token}"}) for token in tokens)
    waits = mine.post("/api/grants/code", {"code": "welcome"}, content_type="application/json")
    assert (waits.status_code, waits.json()["grant"]) == (201, None)
    used = mine.post("/api/grants/code", {"code": "FIVE"}, content_type="application/json").json()
    assert used["grant"]["left_nano"] == 5 * DOLLAR
    again = mine.post("/api/grants/code", {"code": "FIVE"}, content_type="application/json")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "promo_refused")
    at = f"/api/grants/{used['grant']['id']}"
    assert mine.get(at).json()["reason"] == "Code FIVE"
    assert other.get(at).status_code == 404
    assert len(mine.get("/api/grants", {"state": "open"}).json()["results"]) == 1
    assert mine.get("/api/grants", {"state": "ended"}).json()["results"] == []


@pytest.mark.parametrize(
    ("terms", "most", "words"),
    [
        ({"total_limit": 10}, 50, "$5.00"),
        ({}, None, "$5.00"),
        ({"amount_nano": None, "percent": 20, "most_nano": 4 * DOLLAR, "total_limit": 10}, 40, "20 % of a top-up, at most $4.00"),
        ({"amount_nano": None, "percent": 20, "total_limit": 2}, 20_000, "20 % of a top-up, at most $10,000.00"),
    ],
)  # fmt: skip
def test_what_a_code_can_ever_give(terms: dict[str, Any], most: int | None, words: str) -> None:
    whole = CodeTerms(**{"code": "WELCOME", "amount_nano": 5 * DOLLAR, **terms})
    assert whole.most_ever_nano == (None if most is None else most * DOLLAR)
    assert whole.gives == words


def test_terms_that_are_kept_are_the_same_again() -> None:
    terms = CodeTerms(code="MAY", percent=5, total_limit=3, ends_at=timezone.now() + timedelta(days=1))
    again = CodeTerms.of(terms.kept())
    assert replace(again, starts_at=terms.starts_at) == terms
    assert again.starts_at >= terms.starts_at
