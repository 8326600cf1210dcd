"""Events reach their receivers, signed, whatever these do: each fault has its end."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone
from openai import OpenAI
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from store.accounts.models import User
from store.webhooks import posting
from store.webhooks.actions import (
    IssuedEndpoint,
    create_endpoint,
    emit,
    redeliver,
    rotate_secret,
    send_notices,
    send_test,
)
from store.webhooks.actions.delivering import RETRY_AFTER_S
from store.webhooks.models import Delivery, DeliveryStatus, DisabledReason, WebhookEndpoint
from tests.store.webhooks.conftest import OpenReceiver, deliver_all, pass_time
from tests.store.webhooks.receiver import Act, Receiver, answer, dribble, endless, garbage, hang, hang_up

pytestmark = pytest.mark.django_db
SUCCEEDED = "fine_tuning.job.succeeded"
DATA = {"id": "ftjob-1", "status": "succeeded", "fine_tuned_model": "ft:acme/bard:team::x", "words": "Grüße, 世界"}


def tell(user: User) -> Delivery:
    """Emits an event that the only endpoint listens to."""
    event = emit(organization=user.personal_organization, type=SUCCEEDED, data=DATA)
    assert event
    return event.deliveries.get()


def test_an_event_is_verified_by_the_specifications_own_library(
    consumer: User, issued: IssuedEndpoint, receiver: Receiver
) -> None:
    delivery = tell(consumer)
    assert deliver_all() == 1
    [got] = receiver.received
    event = Webhook(issued.secret).verify(got.body, got.headers)
    assert (event["type"], event["data"], event["id"]) == (SUCCEEDED, DATA, got.headers["webhook-id"])
    assert event["id"].startswith("evt_")
    assert event["timestamp"].startswith(f"{delivery.event.created_at:%Y-%m-%dT%H:%M:%S}")
    assert got.path == "/hooks?source=store"
    assert got.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook(issued.secret).verify(got.body + b" ", got.headers)


def test_openais_sdk_unwraps_it(consumer: User, issued: IssuedEndpoint, receiver: Receiver) -> None:
    tell(consumer)
    deliver_all()
    [got] = receiver.received
    event = OpenAI(api_key="none").webhooks.unwrap(got.body, got.headers, secret=issued.secret)
    assert event.type == SUCCEEDED
    assert event.data.id == "ftjob-1"


def test_for_a_day_both_secrets_sign_and_then_the_new_one_alone(
    consumer: User, issued: IssuedEndpoint, receiver: Receiver
) -> None:
    renewed = rotate_secret(endpoint=issued.endpoint, user=consumer)
    tell(consumer)
    deliver_all()
    pass_time(hours=25)
    tell(consumer)
    deliver_all()
    first, second = receiver.received
    for secret in (issued.secret, renewed.secret):
        Webhook(secret).verify(first.body, first.headers)
    Webhook(renewed.secret).verify(second.body, second.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(issued.secret).verify(second.body, second.headers)


def test_what_was_answered_is_kept_and_no_more_than_its_beginning(
    consumer: User, issued: IssuedEndpoint, receiver: Receiver
) -> None:
    receiver.acts = [answer(200, "Grüße " * 1000)]
    delivery = tell(consumer)
    deliver_all()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.response_status, delivery.attempts) == (DeliveryStatus.DELIVERED, 200, 1)
    assert delivery.response_start == ("Grüße " * 1000)[:500]
    assert delivery.duration_ms is not None
    assert delivery.error == ""
    issued.endpoint.refresh_from_db()
    assert issued.endpoint.succeeded_at


@pytest.mark.parametrize(
    ("act", "status", "word"),
    [
        (answer(500, "oops"), 500, "500"),
        (answer(404), 404, "404"),
        (answer(302, location="https://example.com/"), 302, "redirect"),
        (answer(307, location="http://169.254.169.254/"), 307, "redirect"),
        (garbage, None, "not HTTP"),
        (hang_up, None, "without an answer"),
        (hang, None, "within"),
        (dribble, None, "within"),
    ],
    ids=["500", "404", "302", "307", "garbage", "hang-up", "hang", "dribble"],
)
def test_a_fault_is_named_and_the_event_comes_again_with_the_same_id(
    consumer: User, issued: IssuedEndpoint, receiver: Receiver, monkeypatch: pytest.MonkeyPatch,
    act: Act, status: int | None, word: str,
) -> None:  # fmt: skip
    receiver.acts = [act, answer(204)]
    delivery = tell(consumer)
    with monkeypatch.context() as impatient:
        impatient.setattr(posting, "POST_S", 1.0 if act in (hang, dribble) else 60.0)
        assert deliver_all() == 1
    delivery.refresh_from_db()
    assert (delivery.status, delivery.response_status) == (DeliveryStatus.PENDING, status)
    assert word in delivery.error
    assert delivery.due_at > timezone.now()
    pass_time(seconds=10)
    assert deliver_all() == 1
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts, delivery.error) == (DeliveryStatus.DELIVERED, 2, "")
    assert receiver.ids == [delivery.event.public_id] * 2
    assert receiver.received[0].body == receiver.received[1].body


def test_a_good_answer_without_end_is_a_good_answer(consumer: User, issued: IssuedEndpoint, receiver: Receiver) -> None:
    receiver.acts = [endless]
    delivery = tell(consumer)
    deliver_all()
    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.DELIVERED
    assert len(delivery.response_start) == 500
    assert "\0" not in delivery.response_start


def test_a_receiver_that_nobody_runs_is_refused(consumer: User, issued: IssuedEndpoint, receiver: Receiver) -> None:
    receiver.close()
    delivery = tell(consumer)
    deliver_all()
    delivery.refresh_from_db()
    assert (delivery.response_status, delivery.error) == (None, "The connection was refused.")


def test_a_receiver_says_when_it_wants_to_be_asked_again(
    consumer: User, issued: IssuedEndpoint, receiver: Receiver
) -> None:
    receiver.acts = [answer(503, retry_after="7200")]
    delivery = tell(consumer)
    deliver_all()
    delivery.refresh_from_db()
    assert timedelta(hours=2) <= delivery.due_at - timezone.now() + timedelta(minutes=1) <= timedelta(hours=2.5)


def test_410_switches_the_webhook_off_and_its_owners_are_told(
    consumer: User, issued: IssuedEndpoint, receiver: Receiver
) -> None:
    receiver.acts = [answer(410)]
    delivery = tell(consumer)
    deliver_all()
    delivery.refresh_from_db()
    issued.endpoint.refresh_from_db()
    assert delivery.status == DeliveryStatus.DEAD
    assert issued.endpoint.disabled_reason == DisabledReason.GONE
    assert emit(organization=consumer.personal_organization, type=SUCCEEDED, data=DATA) is None
    assert (send_notices(), send_notices()) == (1, 0)
    [message] = mail.outbox
    assert message.to == [consumer.email]
    assert "410" in message.body
    assert f"/settings/webhooks/{issued.endpoint.pk}" in message.body
    assert issued.secret not in message.body


def test_after_three_days_of_nothing_it_is_given_up_and_switched_off(
    consumer: User, issued: IssuedEndpoint, receiver: Receiver
) -> None:
    receiver.acts = [answer(500)]
    delivery = tell(consumer)
    for hours in [0, *(1.2 * seconds / 3600 for seconds in RETRY_AFTER_S)]:
        pass_time(hours=hours)
        assert deliver_all() == 1
    delivery.refresh_from_db()
    issued.endpoint.refresh_from_db()
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.DEAD, 10)
    assert sum(RETRY_AFTER_S) > 72 * 3600
    assert issued.endpoint.disabled_reason == DisabledReason.FAILING
    assert set(receiver.ids) == {delivery.event.public_id}
    assert send_notices() == 1
    assert "switched off" in mail.outbox[0].subject


def test_one_event_that_a_good_receiver_does_not_take_is_told_once_a_day(
    consumer: User, issued: IssuedEndpoint, receiver: Receiver
) -> None:
    WebhookEndpoint.objects.update(succeeded_at=timezone.now())
    receiver.acts = [answer(400)]
    deliveries = [tell(consumer), tell(consumer)]
    Delivery.objects.update(retries=len(RETRY_AFTER_S))
    assert deliver_all() == 2
    issued.endpoint.refresh_from_db()
    assert issued.endpoint.disabled_at is None
    assert set(Delivery.objects.values_list("status", flat=True)) == {DeliveryStatus.DEAD}
    assert send_notices() == 1
    redeliver(delivery=deliveries[0], user=consumer)
    Delivery.objects.filter(pk=deliveries[0].pk).update(retries=len(RETRY_AFTER_S))
    deliver_all()
    assert send_notices() == 0
    assert len(mail.outbox) == 1
    assert "did not take" in mail.outbox[0].subject


def test_sent_again_by_hand_it_has_the_id_that_it_had(
    consumer: User, issued: IssuedEndpoint, receiver: Receiver
) -> None:
    delivery = tell(consumer)
    deliver_all()
    redeliver(delivery=delivery, user=consumer)
    redeliver(delivery=delivery, user=consumer)  # twice before it goes is once
    assert deliver_all() == 1
    assert receiver.ids == [delivery.event.public_id] * 2


def test_a_test_goes_to_one_webhook_alone(
    consumer: User, issued: IssuedEndpoint, receiver: Receiver, open_receiver: OpenReceiver
) -> None:
    other = open_receiver()
    create_endpoint(organization=consumer.personal_organization, user=consumer, url=other.url)
    send_test(endpoint=issued.endpoint, user=consumer)
    deliver_all()
    assert [json.loads(each.body)["type"] for each in receiver.received] == ["webhook.test"]
    assert other.received == []


def test_a_secret_that_cannot_be_read_any_more_is_said(
    consumer: User, issued: IssuedEndpoint, receiver: Receiver, settings: pytest.FixtureRequest
) -> None:
    settings.SECRET_KEY = "another"  # type: ignore[attr-defined]
    delivery = tell(consumer)
    deliver_all()
    delivery.refresh_from_db()
    assert "Rotate it" in delivery.error
    assert receiver.received == []


def test_a_worker_that_died_with_an_event_in_hand_leaves_it_to_the_next(
    consumer: User, issued: IssuedEndpoint, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = tell(consumer)
    with monkeypatch.context() as dying:
        dying.setattr("store.webhooks.actions.delivering._note", lambda *_args: None)
        assert deliver_all() == 1
    assert deliver_all() == 0  # it is in the hands of the dead
    pass_time(seconds=61)
    assert deliver_all() == 1
    assert receiver.ids == [delivery.event.public_id] * 2  # at least once, under one id
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.DELIVERED, 2)
