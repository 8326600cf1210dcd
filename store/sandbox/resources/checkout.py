"""Checkout Sessions: a page on which a customer pays."""

from __future__ import annotations

import re

from django.conf import settings

from store.sandbox import objects
from store.sandbox.cards import card_of, refuse_charge
from store.sandbox.errors import ApiError
from store.sandbox.objects import Body
from store.sandbox.params import LISTING, Free, check
from store.sandbox.resources.customers import attach, make_card
from store.sandbox.resources.payments import CURRENCY, check_amount, make_intent, pay
from store.sandbox.tax import tax_cents

LIVES_S = 24 * 3600
MOST_LINES = 100
PRICE = {
    "currency!": (CURRENCY,), "unit_amount!": int, "tax_behavior": ("exclusive",),
    "product_data!": {"name!": str, "description": str, "tax_code": str},
}  # fmt: skip
SHAPE = {
    "mode!": ("payment", "setup"),
    "currency": (CURRENCY,),
    "ui_mode": ("hosted_page",),
    "line_items": [{"price_data!": PRICE, "quantity!": int}],
    "success_url!": str,
    "cancel_url": str,
    "client_reference_id": str,
    "customer": str,
    "expires_at": int,
    "metadata": Free,
    "payment_intent_data": {"metadata": Free, "description": str, "setup_future_usage": ("off_session", "on_session")},
    "payment_method_types": [str],
    "submit_type": ("auto", "pay"),
    "automatic_tax": {"enabled!": bool},
    "tax_id_collection": {"enabled!": bool},
    "billing_address_collection": ("auto", "required"),
    "customer_update": {"address": ("auto", "never"), "name": ("auto", "never")},
}


def create_session(params: Body) -> Body:
    given = check(params, SHAPE)
    if given["mode"] == "setup":
        return _create_setup(given)
    if "line_items" not in given:
        raise ApiError("Missing required param: line_items.", code="parameter_missing", param="line_items")
    if "customer" in given:
        objects.read("customer", given["customer"], param="customer")
    elif "customer_update" in given:
        raise ApiError("`customer_update` can only be used with `customer`.", param="customer_update")
    if len(given["line_items"]) > MOST_LINES:
        raise ApiError(f"At most {MOST_LINES} line items.", param="line_items")
    total = sum(line["price_data"]["unit_amount"] * line["quantity"] for line in given["line_items"])
    check_amount(total, CURRENCY, param="line_items")
    session = objects.create(
        "checkout.session", "cs_test", mode="payment", status="open", payment_status="unpaid", amount_subtotal=total, amount_total=total,
        currency=CURRENCY, customer=given.get("customer"), client_reference_id=given.get("client_reference_id"),
        success_url=given["success_url"], cancel_url=given.get("cancel_url"), metadata=given.get("metadata", {}), payment_intent=None,
        expires_at=given.get("expires_at", objects.now() + LIVES_S), payment_method_types=["card"], ui_mode="hosted_page",
        total_details={"amount_tax": 0, "amount_discount": 0, "amount_shipping": 0}, customer_details=None,
        automatic_tax={"enabled": given.get("automatic_tax", {}).get("enabled", False), "status": None},
    )  # fmt: skip
    names = [line["price_data"]["product_data"]["name"] for line in given["line_items"]]
    return objects.change(
        session,
        url=f"{settings.SANDBOX_URL}/pay/{session['id']}",
        intent_data=given.get("payment_intent_data", {}),
        names=names,
    )


def _create_setup(given: Body) -> Body:
    """A page on which a card is saved, and nothing is paid."""
    for name in ("customer", "currency"):
        if name not in given:
            raise ApiError(f"Missing required param: {name}.", code="parameter_missing", param=name)
    objects.read("customer", given["customer"], param="customer")
    intent = objects.create(
        "setup_intent", "seti", customer=given["customer"], payment_method=None, status="requires_payment_method", usage="off_session",
        metadata=given.get("metadata", {}), last_setup_error=None,
    )  # fmt: skip
    session = objects.create(
        "checkout.session", "cs_test", mode="setup", status="open", payment_status="no_payment_required", amount_subtotal=None,
        amount_total=None, currency=CURRENCY, customer=given["customer"], client_reference_id=given.get("client_reference_id"),
        success_url=given["success_url"], cancel_url=given.get("cancel_url"), metadata=given.get("metadata", {}), payment_intent=None,
        setup_intent=intent["id"], expires_at=given.get("expires_at", objects.now() + LIVES_S), ui_mode="hosted_page",
        payment_method_types=["card"], total_details=None, customer_details=None, automatic_tax={"enabled": False, "status": None},
        names=[], intent_data={},
    )  # fmt: skip
    return objects.change(session, url=f"{settings.SANDBOX_URL}/pay/{session['id']}")


def save_card(id: str, number: str) -> Body:
    """What the customer's click does on a page for a card. Raises ApiError: no card, declined, or no session that is open."""
    session = open_session(id)
    intent = objects.read("setup_intent", session["setup_intent"])
    card = make_card(number, allow_redisplay="always")
    declined = refuse_charge(number, off_session=False)
    if declined and not card_of(number).attaches:
        objects.change(intent, last_setup_error=declined.body["error"])
        objects.emit("setup_intent.setup_failed", intent)
        raise declined
    attach(card, session["customer"])
    objects.change(intent, status="succeeded", payment_method=card["id"])
    objects.emit("setup_intent.succeeded", intent)
    objects.change(session, status="complete", url=None)
    objects.emit("checkout.session.completed", session)
    return session


def read_setup(params: Body, id: str) -> Body:
    check(params, {})
    return objects.read("setup_intent", id)


def read_session(params: Body, id: str) -> Body:
    check(params, {})
    return objects.read("checkout.session", id)


def list_sessions(params: Body) -> Body:
    given = check(
        params, {**LISTING, "payment_intent": str, "customer": str, "status": ("complete", "expired", "open")}
    )
    where: Body = {name: given[name] for name in ("payment_intent", "customer", "status") if name in given}
    return objects.page("checkout.session", "/v1/checkout/sessions", given, where=where)


def expire_session(params: Body, id: str) -> Body:
    check(params, {})
    session = objects.read("checkout.session", id)
    if session["status"] != "open":
        raise ApiError(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {session["status"]}.'
        )
    return _expire(session)


def known_buyer(session: Body) -> dict[str, str]:
    """What is known of who pays before they say: what the store has told of its customer."""
    customer = objects.read("customer", session["customer"]) if session["customer"] else {}
    address = customer.get("address") or {}
    tax_ids = objects.find("tax_id", customer=session["customer"]) if customer else []
    known = {
        "name": customer.get("name"), "country": address.get("country"), "tax_id": tax_ids[-1]["value"] if tax_ids else None,
    }  # fmt: skip
    return {name: value for name, value in known.items() if value}


def locate(session: Body, *, country: str, tax_id: str = "", name: str = "") -> Body:
    """Where the customer is, and the tax that follows. Raises ApiError on what is no country."""
    if not re.fullmatch("[A-Z]{2}", country, re.ASCII):
        raise ApiError("Choose a country.", param="country")
    tax = tax_cents(session["amount_subtotal"], country=country, tax_id=tax_id)
    known = objects.read("customer", session["customer"]) if session["customer"] else {}
    address = known.get("address") or {}
    same = address if address.get("country") == country else {}
    blank = dict.fromkeys(("line1", "line2", "postal_code", "city", "state"))
    return objects.change(
        session,
        total_details={**session["total_details"], "amount_tax": tax},
        amount_total=session["amount_subtotal"] + tax,
        automatic_tax={"enabled": True, "status": "complete"},
        customer_details={
            "name": name or known.get("name"), "email": known.get("email"), "address": {**blank, **same, "country": country},
            "tax_ids": [{"type": "eu_vat", "value": tax_id}] if tax_id else [], "tax_exempt": "none",
        },
    )  # fmt: skip


def pay_session(id: str, number: str) -> Body:
    """What the customer's click does. Raises ApiError: no card, declined, or no session that is open."""
    session = open_session(id)
    data = session["intent_data"]
    card = make_card(number, allow_redisplay="always")
    waiting = objects.read("payment_intent", session["payment_intent"]) if session["payment_intent"] else None
    intent = (
        objects.change(waiting, amount=session["amount_total"])  # the customer may have gone elsewhere meanwhile
        if waiting
        else make_intent(
            session["amount_total"], customer=session["customer"], metadata=data.get("metadata", {}),
            description=data.get("description"),
        )
    )  # fmt: skip
    objects.change(session, payment_intent=intent["id"])
    pay(intent, card, off_session=False)
    if session["customer"] and data.get("setup_future_usage"):
        attach(card, session["customer"])
    objects.change(session, status="complete", payment_status="paid", url=None)
    objects.emit("checkout.session.completed", session)
    return session


def open_session(id: str) -> Body:
    """Raises ApiError where it is not open any more."""
    session = objects.read("checkout.session", id)
    if session["status"] == "open" and session["expires_at"] <= objects.now():
        _expire(session)
    if session["status"] != "open":
        raise ApiError("This page has been used, or has expired. Go back to the store and begin again.", status=410)
    return session


def _expire(session: Body) -> Body:
    objects.change(session, status="expired", url=None)
    objects.emit("checkout.session.expired", session)
    return session
