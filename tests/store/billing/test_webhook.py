"""The endpoint believes what Stripe has signed just now, and nothing else; what it keeps, it keeps once."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from store.accounts.models import User
from store.billing.inbox import process_event
from store.billing.models import StripeEvent
from store.billing.views import MAX_EVENT_BYTES
from store.ledger.models import Transfer
from store.sandbox.webhooks import sign
from tests.sandboxed import Till

BODY = json.dumps(
    {"id": "evt_1", "object": "event", "type": "ping", "livemode": False, "data": {"object": {"id": "x"}}}
).encode()


def post(body: bytes = BODY, *, signature: str | None = None) -> int:
    signed = sign(body, settings.STRIPE_WEBHOOK_SECRET) if signature is None else signature
    answer = Client(enforce_csrf_checks=True).post(
        "/stripe/webhook", body, content_type="application/json", headers={"Stripe-Signature": signed}
    )
    return answer.status_code


@pytest.mark.django_db
def test_a_signed_event_is_kept_once() -> None:
    assert [post(), post()] == [204, 204]
    assert StripeEvent.objects.get().pk == "evt_1"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "signature",
    [
        "", "t=,v1=", "nonsense", sign(BODY, ""), sign(BODY, "whsec_another"), sign(BODY, "whsec_another").replace("v1", "v0"),
        sign(b"another body", settings.STRIPE_WEBHOOK_SECRET),
    ],
    ids=["none", "empty", "nonsense", "empty secret", "another secret", "another scheme", "another body"],
)  # fmt: skip
def test_a_bad_signature_is_refused(signature: str) -> None:
    assert post(signature=signature) == 400
    assert not StripeEvent.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(("off_s", "status"), [(-302, 400), (-280, 204), (280, 204), (302, 400)])
def test_the_clock_is_held_to_on_both_sides(off_s: int, status: int) -> None:
    assert post(signature=sign(BODY, settings.STRIPE_WEBHOOK_SECRET, at=int(time.time()) + off_s)) == status


@pytest.mark.django_db
@pytest.mark.parametrize(("off_s", "status"), [(-301, 400), (-300, 204), (0, 204), (300, 204), (301, 400)])
def test_the_clock_is_held_to_the_second(monkeypatch: pytest.MonkeyPatch, off_s: int, status: int) -> None:
    now = int(time.time())
    signature = sign(BODY, settings.STRIPE_WEBHOOK_SECRET, at=now + off_s)
    monkeypatch.setattr(time, "time", lambda: float(now))
    assert post(signature=signature) == status


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"id": 1}', b'{"id": "evt_1", "type": "ping", "data": {"object": 1}}', b"\xff"]
)
def test_what_is_signed_and_no_event_is_refused(body: bytes) -> None:
    assert post(body) == 400


@pytest.mark.django_db
def test_what_is_too_long_is_not_read() -> None:
    assert post(b" " * (MAX_EVENT_BYTES + 1)) == 413


@pytest.mark.django_db(transaction=True)
def test_the_same_webhook_fifty_times_in_parallel_credits_once(till: Till, consumer: User) -> None:
    till.buy(consumer)
    event = next(event for event in till.events() if event["type"] == "checkout.session.completed")
    body = json.dumps(event).encode()

    def arrive(_turn: int) -> int:
        try:
            status = post(body)
            StripeEvent.objects.filter(processed_at=None).update(due_at="2000-01-01T00:00Z")
            process_event(event["id"])
            return status
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(arrive, range(50))) == {204}
    assert StripeEvent.objects.get().processed_at
    assert Transfer.objects.count() == 1
