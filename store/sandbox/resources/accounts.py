"""Connected accounts: who sells on the platform, what Stripe still wants to know of them, and the link to the page that asks.

https://docs.stripe.com/connect/hosted-onboarding
"""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings

from store.sandbox import objects
from store.sandbox.errors import ApiError
from store.sandbox.objects import Body
from store.sandbox.params import LISTING, Free, check

LINK_LIVES_S = 300
CURRENCIES = {"US": "usd", "DE": "eur", "FR": "eur", "GB": "gbp", "JP": "jpy", "CH": "chf", "CA": "cad"}
IDENTITY, BANK, TERMS = ["business_profile.name"], ["external_account"], ["tos_acceptance.date"]
CONTROLLER = {
    "fees": {"payer": ("application", "account")},
    "losses": {"payments": ("application", "stripe")},
    "requirement_collection": ("stripe", "application"),
    "stripe_dashboard": {"type": ("express", "full", "none")},
}
INTERVALS = ("manual", "daily", "weekly", "monthly")
SHAPE: dict[str, Any] = {
    "country": tuple(CURRENCIES),
    "email": str,
    "metadata": Free,
    "controller": CONTROLLER,
    "capabilities": {"transfers": {"requested": bool}, "card_payments": {"requested": bool}},
    "business_profile": {"name": str, "url": str},
    "settings": {"payouts": {"schedule": {"interval": INTERVALS}, "debit_negative_balances": bool}},
}
LINK = {
    "account!": str, "type!": ("account_onboarding",), "refresh_url!": str, "return_url!": str,
    "collection_options": {"fields": ("currently_due", "eventually_due")},
}  # fmt: skip


def create_account(params: Body) -> Body:
    given = check(params, SHAPE)
    country = given.get("country", "US")
    schedule = given.get("settings", {}).get("payouts", {}).get("schedule", {"interval": "daily"})
    account = objects.create(
        "account", "acct", country=country, default_currency=CURRENCIES[country], email=given.get("email"),
        metadata=given.get("metadata", {}), controller={"type": "application", "is_controller": True, **given.get("controller", {})},
        type="express", charges_enabled=False, payouts_enabled=False, details_submitted=False, business_type=None,
        business_profile={"name": None, "url": None, **given.get("business_profile", {})},
        capabilities={"transfers": "inactive"}, external_accounts={"object": "list", "data": [], "has_more": False},
        requirements=_requirements([*IDENTITY, *BANK, *TERMS]), tos_acceptance={"date": None},
        settings={"payouts": {"schedule": schedule}}, bank="",
    )  # fmt: skip
    _tell(account)
    return account


def read_account(params: Body, id: str) -> Body:
    check(params, {})
    return objects.read("account", id)


def list_accounts(params: Body) -> Body:
    given = check(params, LISTING)
    return objects.page("account", "/v1/accounts", given)


def create_link(params: Body) -> Body:
    """The address of a page. It can be opened once, and only for a few minutes."""
    given = check(params, LINK)
    account = objects.read("account", given["account"], param="account")
    token = secrets.token_urlsafe(24)
    link = objects.create(
        "account_link", "link", secret=token, account=account["id"], expires_at=objects.now() + LINK_LIVES_S, is_open=False,
        return_url=given["return_url"], refresh_url=given["refresh_url"],
        url=f"{settings.SANDBOX_URL}/connect/{token}",
    )  # fmt: skip
    return {name: link[name] for name in ("object", "created", "expires_at", "url")}


def link_of(token: str) -> Body:
    """The link of an address. Raises ApiError where there is none."""
    link = next((row for row in objects.find("account_link") if row["url"].endswith(f"/{token}")), None)
    if link is None or not token:
        raise ApiError("There is no such page.", status=404)
    return link


def enter(token: str) -> tuple[Body, Body]:
    """(account, link) for whoever comes from the store. Raises ApiError (410) where it is too late, or somebody was here."""
    link = link_of(token)
    if link["is_open"] or link["expires_at"] <= objects.now():
        raise ApiError("This page has been opened already, or too much time has passed.", status=410)
    return objects.read("account", link["account"]), objects.change(link, is_open=True)


def identify(account: Body, *, name: str, country: str) -> Body:
    """The first half of the page."""
    if not name.strip():
        raise ApiError("Say who is paid.", param="name")
    if country not in CURRENCIES:
        raise ApiError("The sandbox does not know this country.", param="country")
    due = [each for each in account["requirements"]["currently_due"] if each not in IDENTITY]
    objects.change(
        account, country=country, default_currency=CURRENCIES[country], requirements=_requirements(due),
        business_profile={**account["business_profile"], "name": name.strip()},
    )  # fmt: skip
    _tell(account)
    return account


def submit(account: Body, *, number: str) -> Body:
    """The second half: where the money goes, and that the terms are agreed to."""
    digits = "".join(number.split()).upper()
    if not (digits.isascii() and digits.isalnum() and 4 <= len(digits) <= 34):  # an IBAN has letters
        raise ApiError("This is no account number.", param="number")
    external = {
        "id": objects.new_id("ba"), "object": "bank_account", "last4": digits[-4:], "bank_name": "STRIPE TEST BANK",
        "country": account["country"], "currency": account["default_currency"], "status": "new",
    }  # fmt: skip
    objects.change(
        account, external_accounts={"object": "list", "data": [external], "has_more": False}, bank=digits, details_submitted=True,
        payouts_enabled=True, charges_enabled=True, capabilities={"transfers": "active"}, requirements=_requirements([]),
        tos_acceptance={"date": objects.now()},
    )  # fmt: skip
    _tell(account)
    return account


def reject(account: Body) -> Body:
    """Stripe does not want to pay this one."""
    objects.change(
        account, details_submitted=True, payouts_enabled=False, charges_enabled=False, capabilities={"transfers": "inactive"},
        requirements=_requirements([], disabled="rejected.other"),
    )  # fmt: skip
    _tell(account)
    return account


def ask_for_more(account: Body, *due: str) -> Body:
    """Stripe wants to know something else, and pays nothing out until then."""
    objects.change(
        account, payouts_enabled=False, capabilities={"transfers": "inactive"},
        requirements=_requirements(list(due), disabled="requirements.past_due"),
    )  # fmt: skip
    _tell(account)
    return account


def _requirements(due: list[str], *, disabled: str | None = None) -> Body:
    return {
        "currently_due": due, "eventually_due": due, "past_due": due if disabled else [], "pending_verification": [], "errors": [],
        "disabled_reason": disabled or ("requirements.past_due" if due else None), "current_deadline": None,
    }  # fmt: skip


def _tell(account: Body) -> None:
    objects.emit("account.updated", account, of=account["id"])
