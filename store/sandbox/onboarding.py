"""The page on which who sells says who they are and where their money goes: in two halves, of which each is kept.

As on Stripe's, an address works once. Whoever comes a second time, or too late, is sent back for another.
"""

from __future__ import annotations

from django.db import transaction
from django.template.loader import render_to_string

from store.sandbox import objects
from store.sandbox.answers import Page
from store.sandbox.errors import ApiError
from store.sandbox.objects import Body
from store.sandbox.resources import accounts
from store.sandbox.resources.payouts import FAILURES

WORKS = "000123456789"  # a bank account that takes payouts: https://docs.stripe.com/connect/testing


@transaction.atomic
def begin(token: str) -> Page:
    """Somebody comes from the store."""
    objects.lock()
    try:
        account, _link = accounts.enter(token)
    except ApiError as error:
        if error.status != 410:
            raise
        return _go(accounts.link_of(token)["refresh_url"])
    return _form(account)


@transaction.atomic
def answer(token: str, form: dict[str, str]) -> Page:
    """One of the page's buttons. What is wrong is said on the page."""
    objects.lock()
    link = accounts.link_of(token)
    account = objects.read("account", link["account"])
    try:
        match form.get("action"):
            case "identity":
                return _form(accounts.identify(account, name=form.get("name", ""), country=form.get("country", "")))
            case "bank":
                accounts.submit(account, number=form.get("number", ""))
            case "reject":
                accounts.reject(account)
    except ApiError as error:
        return _form(account, form=form, error=error)
    return _go(link["return_url"])


def _form(account: Body, *, form: dict[str, str] | None = None, error: ApiError | None = None) -> Page:
    shown = {
        "account": account, "asks_for_bank": not set(accounts.IDENTITY) & set(account["requirements"]["currently_due"]),
        "countries": sorted(accounts.CURRENCIES), "works": WORKS, "failures": {number: code for number, (code, _says) in FAILURES.items()},
        "form": form or {}, "error": str(error) if error else "", "param": error.body["error"]["param"] if error else "",
    }  # fmt: skip
    return Page(status=422 if error else 200, body=render_to_string("sandbox/connect.html", shown))


def _go(where: str) -> Page:
    return Page(status=303, headers={"location": where})
