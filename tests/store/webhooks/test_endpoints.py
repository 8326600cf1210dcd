"""Endpoints: who may have them, what they are told, and a secret that nobody reads in the database."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from store.accounts.models import Membership, Role, User
from store.errors import InvalidRequest, NotFound, PermissionDenied
from store.webhooks import event_types
from store.webhooks.actions import (
    IssuedEndpoint,
    create_endpoint,
    delete_endpoint,
    disable_endpoint,
    emit,
    enable_endpoint,
    forget_events,
    redeliver,
    rotate_secret,
    send_test,
    update_endpoint,
)
from store.webhooks.actions.emitting import MAX_DATA_BYTES
from store.webhooks.errors import EndpointDisabled, TooManyEndpoints
from store.webhooks.event_types import EventType, register
from store.webhooks.models import Delivery, DeliveryStatus, WebhookEndpoint, WebhookEvent
from tests.store.webhooks.conftest import deliver_all
from tests.store.webhooks.receiver import Receiver

pytestmark = pytest.mark.django_db
URL = "https://example.com/hooks"
FAILED, SUCCEEDED = "fine_tuning.job.failed", "fine_tuning.job.succeeded"


def create(user: User, **terms: Any) -> IssuedEndpoint:
    return create_endpoint(organization=user.personal_organization, user=user, **{"url": URL, **terms})


def test_the_secret_is_a_standard_one_and_stands_nowhere_in_the_database(consumer: User) -> None:
    issued = create(consumer)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", issued.secret)
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(e)::text FROM webhooks_webhookendpoint e")
        [(row,)] = cursor.fetchall()
    assert issued.secret not in row
    assert issued.secret.removeprefix("whsec_") not in row
    assert issued.secret not in repr(issued)


def test_an_endpoint_gets_what_it_asked_for(consumer: User) -> None:
    some, everything = create(consumer, event_types=[FAILED]).endpoint, create(consumer).endpoint
    emit(organization=consumer.personal_organization, type=SUCCEEDED, data={})
    emit(organization=consumer.personal_organization, type=FAILED, data={})
    assert [each.event.type for each in some.deliveries.all()] == [FAILED]
    assert {each.event.type for each in everything.deliveries.all()} == {FAILED, SUCCEEDED}


def test_what_nobody_listens_to_is_not_kept(consumer: User, stranger: User) -> None:
    create(stranger)
    assert emit(organization=consumer.personal_organization, type=SUCCEEDED, data={}) is None
    assert not WebhookEvent.objects.exists()


def test_an_event_of_no_known_type_or_of_any_size_is_a_mistake_of_ours(consumer: User) -> None:
    with pytest.raises(ValueError, match="no registered event type"):
        emit(organization=consumer.personal_organization, type="nonsense.happened", data={})
    with pytest.raises(ValueError, match="more than"):
        emit(organization=consumer.personal_organization, type=FAILED, data={"x": "x" * MAX_DATA_BYTES})


@pytest.mark.parametrize(
    ("terms", "param"),
    [
        ({"url": "nonsense"}, "url"),
        ({"event_types": ["nonsense.happened"]}, "event_types"),
        ({"event_types": ["webhook.test"]}, "event_types"),
        ({"description": "x" * 201}, "description"),
    ],
)
def test_a_bad_field_is_named(consumer: User, terms: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        create(consumer, **terms)
    assert refused.value.param == param
    endpoint = create(consumer).endpoint
    with pytest.raises(InvalidRequest):
        update_endpoint(endpoint=endpoint, user=consumer, **{"url": URL, **terms})


def test_a_private_address_needs_the_setting(consumer: User, settings: Any) -> None:
    assert create(consumer, url="http://127.0.0.1:9/").endpoint.url == "http://127.0.0.1:9/"
    settings.WEBHOOKS_ALLOW_PRIVATE = False
    with pytest.raises(InvalidRequest, match="https only"):
        create(consumer, url="http://127.0.0.1:9/")
    with pytest.raises(InvalidRequest, match="public addresses"):
        create(consumer, url="https://127.0.0.1:9/")


def test_an_address_that_was_allowed_once_is_judged_again_at_each_attempt(
    issued: IssuedEndpoint, receiver: Receiver, consumer: User, settings: Any
) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = False
    emit(organization=consumer.personal_organization, type=FAILED, data={})
    assert deliver_all() == 1
    assert receiver.received == []
    assert Delivery.objects.get().error


def test_there_are_only_so_many(consumer: User) -> None:
    for _ in range(10):
        create(consumer)
    with pytest.raises(TooManyEndpoints):
        create(consumer)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.BILLING])
def test_a_viewer_looks_and_changes_nothing(consumer: User, stranger: User, role: Role) -> None:
    endpoint = create(consumer).endpoint
    Membership.objects.create(organization=consumer.personal_organization, user=stranger, role=role)
    for verb in (rotate_secret, disable_endpoint, enable_endpoint, delete_endpoint, send_test):
        with pytest.raises(PermissionDenied):
            verb(endpoint=endpoint, user=stranger)  # type: ignore[operator]
    with pytest.raises(PermissionDenied):
        update_endpoint(endpoint=endpoint, user=stranger, url=URL)
    assert endpoint in WebhookEndpoint.objects.visible_to(stranger)


def test_to_a_stranger_it_is_not_there(consumer: User, stranger: User) -> None:
    endpoint = create(consumer).endpoint
    delivery = send_test(endpoint=endpoint, user=consumer)
    for verb in (rotate_secret, disable_endpoint, enable_endpoint, delete_endpoint, send_test):
        with pytest.raises(NotFound):
            verb(endpoint=endpoint, user=stranger)  # type: ignore[operator]
    with pytest.raises(NotFound):
        redeliver(delivery=delivery, user=stranger)
    assert endpoint not in WebhookEndpoint.objects.visible_to(stranger)


def test_switched_off_it_waits_and_switched_on_it_goes_on(
    issued: IssuedEndpoint, receiver: Receiver, consumer: User
) -> None:
    organization = consumer.personal_organization
    waiting = emit(organization=organization, type=FAILED, data={})
    disable_endpoint(endpoint=issued.endpoint, user=consumer)
    assert emit(organization=organization, type=FAILED, data={}) is None
    assert deliver_all() == 0
    issued.endpoint.refresh_from_db()
    with pytest.raises(EndpointDisabled):
        send_test(endpoint=issued.endpoint, user=consumer)
    enable_endpoint(endpoint=issued.endpoint, user=consumer)
    assert deliver_all() == 1
    assert waiting
    assert receiver.ids == [waiting.public_id]


def test_a_deleted_endpoint_takes_its_log_along(issued: IssuedEndpoint, consumer: User) -> None:
    emit(organization=consumer.personal_organization, type=FAILED, data={})
    delete_endpoint(endpoint=issued.endpoint, user=consumer)
    assert not Delivery.objects.exists()
    with pytest.raises(NotFound):
        rotate_secret(endpoint=issued.endpoint, user=consumer)


def test_events_are_forgotten_after_thirty_days(issued: IssuedEndpoint, consumer: User) -> None:
    old = emit(organization=consumer.personal_organization, type=FAILED, data={})
    new = emit(organization=consumer.personal_organization, type=FAILED, data={})
    assert old
    assert new
    WebhookEvent.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=31))
    assert forget_events() == 2  # with its delivery
    assert list(WebhookEvent.objects.all()) == [new]
    assert Delivery.objects.get().status == DeliveryStatus.PENDING


def test_a_type_is_registered_once_under_a_name_that_is_one() -> None:
    known = event_types.find(FAILED)
    assert known
    register(known)  # the same again is no harm
    with pytest.raises(ValueError, match="another event type"):
        register(EventType(FAILED, known.description, {}))
    for name in ("", "failed", "Job.failed", "job..failed", "job.failed!", "a." + "b" * 64):
        with pytest.raises(ValueError, match="no name"):
            register(EventType(name, known.description, {}))


def test_every_type_has_an_example_and_stands_in_the_documentation() -> None:
    text = (django_settings.BASE_DIR / "docs" / "webhooks.md").read_text()
    for each in event_types.all_types():
        assert f"`{each.name}`" in text, each.name
        assert each.example
        assert str(each.description).endswith(".")
    named = set(re.findall(r"^\| `([a-z_.]+)` \|", text, re.MULTILINE))
    assert named == {each.name for each in event_types.all_types()}
