"""Webhooks delivered by CPU workers that are processes: by two at once, and by one that is left when the other is killed."""

from __future__ import annotations

import pytest
from standardwebhooks.webhooks import Webhook

from store.accounts.actions import ensure_personal_organization, sign_up
from store.accounts.models import Organization, User
from store.webhooks.actions import create_endpoint, emit
from store.webhooks.models import Delivery, DeliveryStatus, WebhookEndpoint
from tests.stack import Part, Stack
from tests.store.webhooks.conftest import OpenReceiver, open_receiver, pass_time
from tests.store.webhooks.receiver import answer, hang
from tests.waiting import await_that

__all__ = ["open_receiver"]
pytestmark = pytest.mark.timeout(300)
FAILED = "fine_tuning.job.failed"
EVENTS = 15


@pytest.fixture(scope="module")
def workers(stack: Stack) -> list[Part]:
    """Two CPU workers and the clock."""
    return stack.start_cpu(2)


@pytest.fixture(scope="module")
def member(stack: Stack) -> User:
    return sign_up(email="hooks@example.com", password="correct horse battery", name="Hooks", is_verified=True)


@pytest.fixture
def organization(member: User) -> Organization:
    WebhookEndpoint.objects.all().delete()
    return ensure_personal_organization(member)


def all_delivered() -> bool:
    return not Delivery.objects.exclude(status=DeliveryStatus.DELIVERED).exists()


def test_two_workers_deliver_each_event_once(
    workers: list[Part], member: User, organization: Organization, open_receiver: OpenReceiver
) -> None:
    receivers = [open_receiver(), open_receiver()]
    secrets = [create_endpoint(organization=organization, user=member, url=each.url).secret for each in receivers]
    events = [emit(organization=organization, type=FAILED, data={"n": n}) for n in range(EVENTS)]
    await_that(all_delivered, "every event is delivered", timeout_s=120)
    for each, secret in zip(receivers, secrets, strict=True):
        assert sorted(each.ids) == sorted(event.public_id for event in events if event)
        Webhook(secret).verify(each.received[-1].body, each.received[-1].headers)


def test_what_a_killed_worker_had_in_hand_comes_again_with_the_same_id(
    stack: Stack, workers: list[Part], member: User, organization: Organization, open_receiver: OpenReceiver
) -> None:
    receiver = open_receiver(hang, answer(204))
    create_endpoint(organization=organization, user=member, url=receiver.url)
    event = emit(organization=organization, type=FAILED, data={})
    assert event
    await_that(lambda: receiver.received, "a worker has the event in hand", timeout_s=120)
    for part in stack.parts:
        part.kill()
    assert Delivery.objects.get().status == DeliveryStatus.PENDING
    pass_time(seconds=61)  # so long it was theirs
    stack.start_cpu(2)
    await_that(all_delivered, "another worker delivers it", timeout_s=120)
    assert receiver.ids == [event.public_id] * 2
