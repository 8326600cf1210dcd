"""Customers and the cards that are saved with them."""

from __future__ import annotations

from store.sandbox import objects
from store.sandbox.cards import TOKENS, card_of, refuse_charge
from store.sandbox.errors import ApiError, missing
from store.sandbox.objects import Body
from store.sandbox.params import LISTING, Free, check

ADDRESS = {"line1": str, "line2": str, "postal_code": str, "city": str, "state": str, "country": str}
SHAPE = {"email": str, "name": str, "description": str, "metadata": Free, "address": ADDRESS}
TAX_ID_KINDS = (
    "eu_vat", "au_abn", "br_cnpj", "ca_gst_hst", "ch_vat", "gb_vat", "in_gst", "jp_trn", "no_vat", "nz_gst", "sg_gst", "us_ein", "za_vat",
)  # fmt: skip
YEAR_VALID = 2034


def create_customer(params: Body) -> Body:
    given = check(params, SHAPE)
    fields = {
        "email": None,
        "name": None,
        "description": None,
        "metadata": {},
        "currency": None,
        "address": None,
        **given,
    }
    customer = objects.create("customer", "cus", invoice_settings={"default_payment_method": None}, **fields)
    objects.emit("customer.created", customer)
    return customer


def read_customer(params: Body, id: str) -> Body:
    check(params, {})
    return objects.read("customer", id)


def update_customer(params: Body, id: str) -> Body:
    given = check(params, SHAPE)
    customer = objects.change(objects.read("customer", id), **given)
    objects.emit("customer.updated", customer)
    return customer


def create_tax_id(params: Body, id: str) -> Body:
    """What no tax office would have given is refused: here, a value with XX in it."""
    given = check(params, {"type!": TAX_ID_KINDS, "value!": str})
    objects.read("customer", id)
    if "XX" in given["value"]:
        raise ApiError(f"Invalid value for {given['type']}.", code="tax_id_invalid", param="value")
    return objects.create("tax_id", "txi", customer=id, country=given["value"][:2], **given)


def list_tax_ids(params: Body, id: str) -> Body:
    given = check(params, LISTING)
    objects.read("customer", id)
    return objects.page("tax_id", f"/v1/customers/{id}/tax_ids", given, where={"customer": id})


def delete_tax_id(params: Body, id: str, tax_id: str) -> Body:
    check(params, {})
    row = objects.read("tax_id", tax_id)
    if row["customer"] != id:
        raise missing("tax_id", tax_id)
    objects.remove(row)
    return {"id": tax_id, "object": "tax_id", "deleted": True}


def list_customers(params: Body) -> Body:
    given = check(params, {**LISTING, "email": str})
    where = {"email": given["email"]} if "email" in given else None
    return objects.page("customer", "/v1/customers", given, where=where)


def list_cards(params: Body, id: str) -> Body:
    given = check(params, {**LISTING, "type": ("card",)})
    objects.read("customer", id)
    return objects.page("payment_method", f"/v1/customers/{id}/payment_methods", given, where={"customer": id})


def make_card(number: str, *, allow_redisplay: str = "limited") -> Body:
    """A payment method of this number. Raises ApiError where there is no such test card."""
    card = {
        "brand": card_of(number).brand,
        "last4": number[-4:],
        "exp_month": 12,
        "exp_year": YEAR_VALID,
        "funding": "credit",
    }
    return objects.create(
        "payment_method", "pm", secret=number, type="card", card=card, customer=None, metadata={},
        allow_redisplay=allow_redisplay, billing_details={"email": None, "name": None},
    )  # fmt: skip


def read_card(params: Body, id: str) -> Body:
    check(params, {})
    return objects.read("payment_method", id)


def attach_card(params: Body, id: str) -> Body:
    """``id`` may be one of Stripe's test tokens, such as ``pm_card_visa``: that makes a card."""
    given = check(params, {"customer!": str})
    objects.read("customer", given["customer"], param="customer")
    card = make_card(TOKENS[id]) if id in TOKENS else objects.read("payment_method", id)
    number = objects.secret_of("payment_method", card["id"])
    declined = refuse_charge(number, off_session=False)
    if declined and not card_of(number).attaches:
        raise declined
    return attach(card, given["customer"])


def attach(card: Body, customer: str) -> Body:
    """Saves a card with a customer."""
    objects.change(card, customer=customer)
    objects.emit("payment_method.attached", card)
    return card


def detach_card(params: Body, id: str) -> Body:
    check(params, {})
    card = objects.read("payment_method", id)
    if card["customer"] is None:
        raise missing("payment_method", id)
    objects.change(card, customer=None)
    objects.emit("payment_method.detached", card)
    return card
