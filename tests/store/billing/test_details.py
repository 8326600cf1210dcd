"""Billing details: what is taken, and how Stripe is told."""

from __future__ import annotations

import pytest

from store.accounts.models import Membership, Role, User
from store.billing.checkout import start_checkout
from store.billing.customers import customer_of
from store.billing.details import FORMS, KINDS, change_details
from store.billing.models import BillingDetails, Topup
from store.billing.reconciling import reconcile
from store.errors import InvalidRequest, NotFound, PermissionDenied
from store.sandbox import faults
from store.sandbox.errors import ApiError
from store.sandbox.models import StripeObject
from store.sandbox.paying import answer, form_of
from tests.conftest import DOLLAR
from tests.sandboxed import Till

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"country": "XX"}, "country"),
        ({"tax_id": "DE123456789"}, "country"),
        ({"country": "DE", "tax_id": "FR12345678901"}, "tax_id"),
        ({"country": "DE", "tax_id": "DE"}, "tax_id"),
        ({"country": "US", "tax_id": "1234"}, "tax_id"),
        ({"country": "KP", "tax_id": "1234"}, "tax_id"),
        ({"email": "nobody"}, "email"),
        ({"legal_name": "x" * 201}, "legal_name"),
        ({"line1": "two\nlines"}, "line1"),
        ({"city": "a\x00b"}, "city"),
    ],
)
def test_what_makes_no_sense_is_refused(consumer: User, fields: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        change_details(organization=consumer.personal_organization, user=consumer, **fields)
    assert caught.value.param == param
    assert not BillingDetails.objects.exists()


@pytest.mark.parametrize(
    ("country", "tax_id"),
    [
        ("DE", "DE 123 456 789"), ("GR", "EL123456789"), ("GB", "gb123456789"), ("US", "12-3456789"), ("CH", "CHE-123.456.789MWST"),
        ("IN", "22AAAAA0000A1Z5"), ("AU", "12345678912"), ("NL", "NL123456789B12"),
    ],
)  # fmt: skip
def test_tax_ids_are_taken_in_the_form_of_their_country(consumer: User, country: str, tax_id: str) -> None:
    row = change_details(organization=consumer.personal_organization, user=consumer, country=country, tax_id=tax_id)
    assert row.tax_id == "".join(tax_id.upper().split())
    assert row.tax_id_type == KINDS[country]


def test_every_kind_of_tax_id_has_a_form() -> None:
    assert set(KINDS.values()) == set(FORMS)


def test_only_those_who_may_buy_change_them(consumer: User, stranger: User) -> None:
    with pytest.raises(NotFound):
        change_details(organization=consumer.personal_organization, user=stranger)
    Membership.objects.create(organization=consumer.personal_organization, user=stranger, role=Role.DEVELOPER)
    with pytest.raises(PermissionDenied):
        change_details(organization=consumer.personal_organization, user=stranger)


def told(till: Till, organization_customer: str) -> tuple[str, list[str]]:
    customer = till.v1.customers.retrieve(organization_customer)
    ids = till.v1.customers.tax_ids.list(organization_customer).data
    return str(customer.name), [each.value for each in ids]


@pytest.mark.parametrize("kind", ["refuse", "lose", "drop"])
def test_stripe_is_told_once_of_each_change(till: Till, consumer: User, kind: str) -> None:
    organization = consumer.personal_organization
    change_details(organization=organization, user=consumer, legal_name="One", country="DE", tax_id="DE123456789")
    faults.add({"kind": kind, "method": "POST", "prefix": "/v1/customers/"})
    id = customer_of(organization)
    assert told(till, id) == ("One", ["DE123456789"])
    assert StripeObject.objects.filter(kind="tax_id").count() == 1
    sent = len(till.wire.sent)
    assert customer_of(organization) == id
    assert len(till.wire.sent) == sent
    change_details(organization=organization, user=consumer, legal_name="Two", country="FR", tax_id="FR12345678901")
    assert told(till, customer_of(organization)) == ("Two", ["FR12345678901"])


def test_a_tax_id_that_stripe_does_not_take_is_named(till: Till, consumer: User) -> None:
    organization = consumer.personal_organization
    change_details(organization=organization, user=consumer, country="ES", tax_id="ESXX3456789")
    with pytest.raises(InvalidRequest) as caught:
        start_checkout(organization=organization, user=consumer, amount_nano=DOLLAR)
    assert caught.value.param == "tax_id"
    reconcile()
    assert Topup.objects.get().status == "expired"


def test_the_page_shows_a_tax_before_it_is_paid(till: Till, consumer: User) -> None:
    organization = consumer.personal_organization
    change_details(organization=organization, user=consumer, legal_name="Söhne", country="AT")
    start_checkout(organization=organization, user=consumer, amount_nano=10 * DOLLAR)
    id = str(Topup.objects.get().checkout_session)
    status, page = form_of(id)
    assert (status, "Söhne" in page, "<option selected>AT" in page, "Pay $12.00" in page) == (200, True, True, True)
    form = {"number": "4242 4242 4242 4242", "country": "AT", "name": "Söhne", "total": "1200"}
    moved = answer(id, {**form, "country": "DE"})
    assert isinstance(moved, tuple)
    assert "Pay $11.90" in moved[1]
    assert "The tax has changed" in moved[1]
    back = answer(id, {**form, "total": "1190"})
    assert isinstance(back, tuple)
    assert "Pay $12.00" in back[1]
    declined = answer(id, {**form, "number": "4000000000000002"})
    assert isinstance(declined, tuple)
    assert declined[0] == 402
    assert str(answer(id, form)).endswith(f"/wallet/top-ups/{Topup.objects.get().pk}")
    assert till.v1.payment_intents.retrieve(till.intent(Topup.objects.get())).amount == 1200
    with pytest.raises(ApiError):
        answer(id, form)
