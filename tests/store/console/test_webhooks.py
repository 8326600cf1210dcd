"""The pages of webhooks: the secret once, the log, and another's are a 404."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client
from standardwebhooks.webhooks import Webhook

from store.accounts.models import Membership, Role, User
from store.webhooks.actions import IssuedEndpoint, create_endpoint, disable_endpoint, emit, send_test
from store.webhooks.models import Delivery, WebhookEndpoint
from tests.store.webhooks.conftest import deliver_all, issued, open_receiver, receiver
from tests.store.webhooks.receiver import Receiver, answer

__all__ = ["issued", "open_receiver", "receiver"]
pytestmark = pytest.mark.django_db
FORM = {"url": "https://example.com/hooks", "description": "ops", "scope": "all"}
FAILED = "fine_tuning.job.failed"


def secret_in(page: str) -> str:
    found = re.search(r'id="secret"[^>]*>([^<]+)<', page)
    assert found
    return html.unescape(found[1])


def test_a_webhook_is_added_and_its_secret_shown_once(browser: Client, consumer: User) -> None:
    response = browser.post("/settings/webhooks", FORM)
    page = response.content.decode()
    secret = secret_in(page)
    assert Webhook(secret)
    assert f"export WEBHOOK_SECRET={secret}" in html.unescape(page)
    assert "standardwebhooks" in page
    assert "no-store" in response["Cache-Control"]
    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.organization, endpoint.event_types) == (consumer.personal_organization, [])
    for address in ("/settings/webhooks", f"/settings/webhooks/{endpoint.pk}"):
        listed = browser.get(address).content.decode()
        assert "https://example.com/hooks" in listed
        assert secret not in html.unescape(listed)
    assert "/settings/webhooks" in browser.get("/settings").content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": ""},
        {"url": "nonsense"},
        {"url": "https://" + "x" * 2000},
        {"description": "x" * 201},
        {"scope": "x"},
        {"scope": "chosen"},
        {"scope": "chosen", "event_types": ["nonsense.happened"]},
    ],
)
def test_a_form_that_makes_no_sense_adds_nothing(browser: Client, wrong: dict[str, Any]) -> None:
    response = browser.post("/settings/webhooks", {**FORM, **wrong})
    assert response.status_code == 422
    assert "field-error" in response.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_a_webhook_is_changed_rotated_switched_and_deleted(browser: Client, issued: IssuedEndpoint) -> None:
    at = f"/settings/webhooks/{issued.endpoint.pk}"
    chosen = {**FORM, "scope": "chosen", "event_types": [FAILED]}
    assert browser.post(at, chosen).status_code == 302
    issued.endpoint.refresh_from_db()
    assert issued.endpoint.event_types == [FAILED]
    assert re.search(rf'value="{FAILED}"[^>]* checked', browser.get(at).content.decode())
    assert browser.post(at, {**FORM, "url": "x"}).status_code == 422
    assert secret_in(browser.post(f"{at}/rotate").content.decode()) != issued.secret
    assert "Two secrets sign" in browser.get(at).content.decode()
    browser.post(f"{at}/switch", {"to": "off"})
    assert "Switched off by a member" in browser.get(at).content.decode()
    assert browser.post(f"{at}/test").status_code == 409
    browser.post(f"{at}/switch", {"to": "on"})
    assert "Send a test" in browser.get(at).content.decode()
    assert browser.post(f"{at}/delete").status_code == 302
    assert browser.get(at).status_code == 404


def test_a_test_is_seen_from_waiting_to_what_came_of_it(
    browser: Client, issued: IssuedEndpoint, receiver: Receiver
) -> None:
    receiver.acts = [answer(500, "<script>alert(1)</script>")]
    sent = browser.post(f"/settings/webhooks/{issued.endpoint.pk}/test", follow=True)
    address = sent.redirect_chain[-1][0]
    assert "every 2s" in sent.content.decode()
    deliver_all()
    part = browser.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "It answered with the status 500." in part
    assert "&lt;script&gt;alert(1)" in part
    whole = html.unescape(browser.get(address).content.decode())
    assert '"type": "webhook.test"' in whole
    receiver.acts = [answer(204)]
    assert browser.post(f"{address}/again").status_code == 302
    deliver_all()
    settled = browser.get(address).content.decode()
    assert "Delivered" in settled
    assert "every 2s" not in settled
    assert receiver.ids == [Delivery.objects.get().event.public_id] * 2


def test_the_log_is_read_page_by_page(browser: Client, consumer: User, issued: IssuedEndpoint) -> None:
    for number in range(30):
        emit(organization=consumer.personal_organization, type=FAILED, data={"n": number})
    at = f"/settings/webhooks/{issued.endpoint.pk}"
    first = browser.get(at).content.decode()
    assert first.count("/settings/webhooks/deliveries/") == 25
    older = re.search(r'href="\?before=(\d+)"', first)
    assert older
    assert browser.get(f"{at}?before={older[1]}").content.decode().count("/settings/webhooks/deliveries/") == 5
    assert browser.get(f"{at}?before=x").status_code == 200


@pytest.mark.parametrize("suffix", ["", "/rotate", "/switch", "/test", "/delete"])
def test_anothers_webhook_is_a_404(browser: Client, stranger: User, suffix: str) -> None:
    theirs = create_endpoint(organization=stranger.personal_organization, user=stranger, url="https://example.com/x")
    address = f"/settings/webhooks/{theirs.endpoint.pk}{suffix}"
    assert browser.post(address, FORM).status_code == 404
    assert "example.com/x" not in browser.get("/settings/webhooks").content.decode()
    assert Client().get("/settings/webhooks").status_code == 302
    assert WebhookEndpoint.objects.filter(pk=theirs.endpoint.pk, disabled_at=None).exists()


def test_anothers_delivery_is_a_404(browser: Client, stranger: User) -> None:
    theirs = create_endpoint(organization=stranger.personal_organization, user=stranger, url="https://example.com/x")
    delivery = send_test(endpoint=theirs.endpoint, user=stranger)
    assert browser.get(f"/settings/webhooks/deliveries/{delivery.pk}").status_code == 404
    assert browser.post(f"/settings/webhooks/deliveries/{delivery.pk}/again").status_code == 404


def test_who_may_only_look_finds_no_buttons(
    client: Client, consumer: User, stranger: User, issued: IssuedEndpoint
) -> None:
    organization = consumer.personal_organization
    Membership.objects.create(organization=organization, user=stranger, role=Role.VIEWER)
    client.force_login(stranger)
    client.post(f"/organizations/{organization.pk}/switch")
    for address in ("/settings/webhooks", f"/settings/webhooks/{issued.endpoint.pk}"):
        page = client.get(address).content.decode()
        assert issued.endpoint.url in html.unescape(page)
        assert "Send a test" not in page
        assert "Add the webhook" not in page
        assert "Delete" not in page
    assert client.post("/settings/webhooks", FORM).status_code in (403, 422)
    assert client.post(f"/settings/webhooks/{issued.endpoint.pk}/delete").status_code == 403
    disable_endpoint(endpoint=issued.endpoint, user=consumer)
    assert "Switch on" not in client.get(f"/settings/webhooks/{issued.endpoint.pk}").content.decode()
