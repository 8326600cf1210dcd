"""The page on which a customer pays with a test card, and where tax is due says where they are."""

from __future__ import annotations

from urllib.parse import quote

from django.db import transaction
from django.template.loader import render_to_string

from store.sandbox import objects
from store.sandbox.errors import ApiError
from store.sandbox.objects import Body
from store.sandbox.resources import checkout
from store.sandbox.tax import RATES_PPM

SESSION_FIELD = "{CHECKOUT_SESSION_ID}"
TEST_CARD = "4242 4242 4242 4242"
ELSEWHERE = "US"  # where there is no sales tax on this, as far as the sandbox knows
CARD_ERROR = 402

Shown = tuple[int, str]  # status and HTML


def form_of(id: str) -> Shown:
    """The page as it opens, with the tax of where the customer is known to be. Raises ApiError where it is used or expired."""
    with transaction.atomic():
        objects.lock()
        session = checkout.open_session(id)
        known = checkout.known_buyer(session)
        if session["automatic_tax"]["enabled"] and "country" in known:
            session = checkout.locate(session, **known)
    return _page(session, {"number": TEST_CARD, "country": ELSEWHERE, **known})


def answer(id: str, form: dict[str, str]) -> Shown | str:
    """What the customer's click does: the page again with what is wrong or new on it, or the address to go to when it is paid."""
    given = {name: form.get(name, "").strip() for name in ("number", "country", "tax_id", "name")}
    declined = ""
    with transaction.atomic():  # what a bank refuses stays: the failed charge is part of the story
        objects.lock()
        session = checkout.open_session(id)
        if session["automatic_tax"]["enabled"]:
            session = checkout.locate(session, country=given["country"], tax_id=given["tax_id"], name=given["name"])
        if "total" in form and form["total"] != str(session["amount_total"]):
            return _page(session, given, note=True)
        try:
            do = checkout.save_card if session["mode"] == "setup" else checkout.pay_session
            session = do(id, "".join(given["number"].split()))
        except ApiError as error:
            if error.status != CARD_ERROR:
                raise
            declined = str(error)
    if declined:
        return _page(checkout.open_session(id), given, error=declined, status=CARD_ERROR)
    return str(session["success_url"].replace(SESSION_FIELD, quote(id)))


def _page(session: Body, given: dict[str, str], *, error: str = "", note: bool = False, status: int = 200) -> Shown:
    shown = {
        "session": session, "names": session["names"], "error": error, "note": note, **given,
        "is_setup": session["mode"] == "setup", "asks_where": session["automatic_tax"]["enabled"], **_amounts(session),
        "countries": sorted({ELSEWHERE, *RATES_PPM, given.get("country") or ELSEWHERE}),
    }  # fmt: skip
    return status, render_to_string("sandbox/pay.html", shown)


def _amounts(session: Body) -> dict[str, str]:
    if session["amount_total"] is None:
        return {}
    tax = session["total_details"]["amount_tax"]
    return {
        "amount": _dollars(session["amount_total"]), "net": _dollars(session["amount_subtotal"]), "tax": _dollars(tax),
    }  # fmt: skip


def _dollars(cents: int) -> str:
    return f"${cents // 100:,}.{cents % 100:02d}"
