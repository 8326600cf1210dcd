"""One request to the API: who asks, what is there, doing it once, and what may go wrong on the way."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction

from store.sandbox import faults, objects
from store.sandbox.errors import ApiError
from store.sandbox.models import IdempotentAnswer
from store.sandbox.objects import Body
from store.sandbox.params import decode
from store.sandbox.resources import accounts, checkout, customers, events, payments, payouts, refunds, taxes, transfers

Endpoint = Callable[..., Body]
ID = r"([A-Za-z0-9_]+)"
ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("POST", "/v1/customers"): customers.create_customer,
    ("GET", "/v1/customers"): customers.list_customers,
    ("GET", f"/v1/customers/{ID}"): customers.read_customer,
    ("POST", f"/v1/customers/{ID}"): customers.update_customer,
    ("POST", f"/v1/customers/{ID}/tax_ids"): customers.create_tax_id,
    ("GET", f"/v1/customers/{ID}/tax_ids"): customers.list_tax_ids,
    ("DELETE", f"/v1/customers/{ID}/tax_ids/{ID}"): customers.delete_tax_id,
    ("GET", f"/v1/customers/{ID}/payment_methods"): customers.list_cards,
    ("GET", f"/v1/payment_methods/{ID}"): customers.read_card,
    ("POST", f"/v1/payment_methods/{ID}/attach"): customers.attach_card,
    ("POST", f"/v1/payment_methods/{ID}/detach"): customers.detach_card,
    ("POST", "/v1/checkout/sessions"): checkout.create_session,
    ("GET", "/v1/checkout/sessions"): checkout.list_sessions,
    ("GET", f"/v1/checkout/sessions/{ID}"): checkout.read_session,
    ("POST", f"/v1/checkout/sessions/{ID}/expire"): checkout.expire_session,
    ("GET", f"/v1/setup_intents/{ID}"): checkout.read_setup,
    ("POST", "/v1/tax/calculations"): taxes.create_calculation,
    ("POST", "/v1/payment_intents"): payments.create_intent,
    ("GET", "/v1/payment_intents"): payments.list_intents,
    ("GET", f"/v1/payment_intents/{ID}"): payments.read_intent,
    ("GET", f"/v1/charges/{ID}"): payments.read_charge,
    ("GET", "/v1/balance_transactions"): payments.list_entries,
    ("GET", f"/v1/balance_transactions/{ID}"): payments.read_entry,
    ("GET", "/v1/disputes"): payments.list_disputes,
    ("GET", f"/v1/disputes/{ID}"): payments.read_dispute,
    ("POST", f"/v1/disputes/{ID}"): payments.decide_dispute,
    ("POST", "/v1/refunds"): refunds.create_refund,
    ("GET", "/v1/refunds"): refunds.list_refunds,
    ("GET", f"/v1/refunds/{ID}"): refunds.read_refund,
    ("GET", "/v1/events"): events.list_events,
    ("GET", f"/v1/events/{ID}"): events.read_event,
    ("POST", "/v1/accounts"): accounts.create_account,
    ("GET", "/v1/accounts"): accounts.list_accounts,
    ("GET", f"/v1/accounts/{ID}"): accounts.read_account,
    ("POST", "/v1/account_links"): accounts.create_link,
    ("GET", "/v1/balance"): payouts.read_balance,
    ("POST", "/v1/transfers"): transfers.create_transfer,
    ("GET", "/v1/transfers"): transfers.list_transfers,
    ("GET", f"/v1/transfers/{ID}"): transfers.read_transfer,
    ("POST", f"/v1/transfers/{ID}/reversals"): transfers.create_reversal,
    ("GET", f"/v1/transfers/{ID}/reversals"): transfers.list_reversals,
    ("GET", f"/v1/transfers/{ID}/reversals/{ID}"): transfers.read_reversal,
}
# With the header Stripe-Account: the endpoint is told whose.
OF_ACCOUNT: dict[tuple[str, str], Endpoint] = {
    ("GET", "/v1/balance"): payouts.read_balance,
    ("POST", "/v1/payouts"): payouts.create_payout,
    ("GET", "/v1/payouts"): payouts.list_payouts,
    ("GET", f"/v1/payouts/{ID}"): payouts.read_payout,
    ("GET", f"/v1/charges/{ID}"): payouts.read_payment,
    ("GET", "/v1/balance_transactions"): payouts.list_entries,
    ("GET", f"/v1/balance_transactions/{ID}"): payouts.read_entry,
}


def _compiled(endpoints: dict[tuple[str, str], Endpoint]) -> list[tuple[str, re.Pattern[str], Endpoint]]:
    return [(method, re.compile(path), endpoint) for (method, path), endpoint in endpoints.items()]


COMPILED, COMPILED_OF_ACCOUNT = _compiled(ENDPOINTS), _compiled(OF_ACCOUNT)
KINDS = {"latest_charge": "charge", "payment_intent": "payment_intent", "balance_transaction": "balance_transaction"}
BUSY = {
    "error": {"type": "rate_limit_error", "code": "rate_limit", "message": "Too many requests hit the API too quickly."}
}
POOR = {
    "error": {
        "type": "invalid_request_error", "code": "balance_insufficient",
        "message": "You have insufficient available funds in your Stripe account.",
    }
}  # fmt: skip
BROKEN = {"error": {"type": "api_error", "message": "An unexpected error occurred."}}


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """``text`` is the form-encoded body of a POST, the query of a GET. ``headers``: lower-case names."""

    method: str
    url: str
    headers: dict[str, str]
    body: str = ""

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def account(self) -> str:
        """The connected account that it is made for; none: the platform itself."""
        return self.headers.get("stripe-account", "")

    @property
    def text(self) -> str:
        return self.body if self.method == "POST" else urlsplit(self.url).query


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """``body`` None: the connection ends without an answer. ``delay_s``: how late it comes."""

    status: int = 200
    body: Body | None = field(default_factory=dict)
    delay_s: float = 0.0


def serve(request: Request) -> Answer:
    """Never raises ApiError: that is an answer."""
    fault = faults.take(request.method, request.path)
    if fault and fault.kind == "refuse":
        return Answer(status=500, body=BROKEN)
    if fault and fault.kind == "busy":
        return Answer(status=429, body=BUSY)
    if fault and fault.kind == "poor":
        return Answer(status=400, body=POOR)
    answer = _once(request)
    if fault and fault.kind == "lose":
        return Answer(status=500, body=BROKEN)
    if fault and fault.kind == "drop":
        return Answer(body=None)
    if fault and fault.kind == "hang":
        return Answer(status=answer.status, body=answer.body, delay_s=fault.delay_s)
    return answer


@transaction.atomic
def _once(request: Request) -> Answer:
    """A mutating request with an Idempotency-Key happens once. What Stripe refuses for its form alone is not kept."""
    if request.method != "GET":
        objects.lock()
    key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
    key = f"{request.account}/{key}" if key and request.account else key
    mark = hashlib.sha256(f"{request.method} {request.path}\n{request.text}".encode()).hexdigest()
    said = IdempotentAnswer.objects.filter(pk=key).first() if key else None
    if said and said.fingerprint != mark:
        message = "Keys for idempotent requests can only be used with the same parameters they were first used with."
        return Answer(status=400, body={"error": {"type": "idempotency_error", "message": message}})
    if said:
        return Answer(status=said.status, body=said.body)
    try:
        answer = Answer(body=_call(request))
    except ApiError as error:
        answer = Answer(status=error.status, body=error.body)
    if key and answer.status in (200, 402):
        IdempotentAnswer.objects.create(key=key, fingerprint=mark, status=answer.status, body=answer.body)
    return answer


def _call(request: Request) -> Body:
    kind, _space, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret.startswith("sk_test_"):
        raise ApiError("Invalid API Key provided.", status=401, code="api_key_invalid")
    params = decode(request.text)
    wanted = params.pop("expand", [])
    whose = [_reachable(request.account)] if request.account else []
    for method, pattern, endpoint in COMPILED_OF_ACCOUNT if whose else COMPILED:
        found = pattern.fullmatch(request.path)
        if found and method == request.method:
            return _expand(_shown(endpoint(params, *whose, *found.groups())), wanted, request.account)
    raise ApiError(f"Unrecognized request URL ({request.method}: {request.path}).", status=404)


def _reachable(account: str) -> str:
    try:
        objects.read("account", account)
    except ApiError as error:
        message = f"The provided key does not have access to account '{account}' (or that account does not exist)."
        raise ApiError(message, status=403, code="account_invalid") from error
    return account


def _shown(data: Body) -> Body:
    shown: dict[str, Any] = json.loads(json.dumps(data))
    if shown.get("object") == "list":
        return {**shown, "data": [objects.public(each) for each in shown["data"]]}
    return objects.public(shown)


def _expand(data: Body, wanted: list[str], of: str) -> Body:
    """Puts whole objects where their ids are. Raises ApiError on a path that cannot be."""
    for path in wanted:
        name, _dot, rest = path.partition(".")
        if name not in KINDS or name not in data:
            raise ApiError(f"This property cannot be expanded ({path}).", param="expand")
        if isinstance(data[name], str):
            data[name] = objects.read(KINDS[name], data[name], of=of)
        if rest and data[name]:
            _expand(data[name], [rest], of)
    return data
