"""A listing's standing: edited, deprecated with a last day, withdrawn, brought back; never behind the back of those with keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from store.accounts.models import User
from store.catalog.actions import NotInThisState, deprecate_listing, edit_listing, republish_listing, withdraw_listing
from store.catalog.actions.listings import withdraw_ended
from store.catalog.actions.repositories import delete_listing
from store.catalog.models import Listing, ListingStatus, Notice, NoticeKind, Price, Weights
from store.errors import InvalidRequest, NotFound
from store.keys.actions import IssuedKey, revoke_key
from store.runs.actions import open_runs, settle_runs
from store.runs.books import ModelNotFound, OpenedRun, SettleRun
from store.runs.models import RunStatus
from tests.store.catalog.drafts import make_draft
from tests.store.runs.conftest import RequestMaker, gateway_id, request_of

__all__ = ["gateway_id", "request_of"]

pytestmark = pytest.mark.django_db


def days(count: float) -> datetime:
    return timezone.now() + timedelta(days=count)


def test_a_provider_changes_what_is_theirs_to_change(listing: Listing, provider: User) -> None:
    edited = edit_listing(
        listing=listing, user=provider, title=" New ", weights=Weights.GATED, gate_questions=["  Why?\n ", ""], gate_days=30
    )  # fmt: skip
    assert (edited.title, edited.weights, edited.gate_questions, edited.gate_days) == ("New", "gated", ["Why?"], 30)
    assert Listing.objects.get().title == "New"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"title": "x" * 151}, "title"),
        ({"title": " "}, "title"),
        ({"weights": "everything"}, "weights"),
        ({"gate_days": 0}, "gate_days"),
        ({"gate_days": 10**6}, "gate_days"),
        ({"gate_questions": ["x" * 301]}, "gate_questions"),
        ({"gate_questions": ["why?"] * 11}, "gate_questions"),
        ({"status": "published"}, "status"),
        ({"category": "no such <thing>"}, "category"),
    ],
)
def test_what_cannot_be_so_is_refused_by_name(
    listing: Listing, provider: User, change: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        edit_listing(listing=listing, user=provider, **change)
    assert refused.value.param == param


def test_a_stranger_finds_no_listing_to_change(listing: Listing, stranger: User) -> None:
    for attempt in (
        lambda: edit_listing(listing=listing, user=stranger, title="Mine"),
        lambda: deprecate_listing(listing=listing, user=stranger, shutdown_at=days(9)),
        lambda: withdraw_listing(listing=listing, user=stranger),
        lambda: republish_listing(listing=listing, user=stranger),
    ):
        with pytest.raises(NotFound):
            attempt()


def test_a_last_day_is_a_week_ahead_where_others_hold_keys_who_are_told(
    listing: Listing, provider: User, consumer: User, issued_key: IssuedKey
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        deprecate_listing(listing=listing, user=provider, shutdown_at=days(6))
    assert refused.value.param == "shutdown_at"
    deprecated = deprecate_listing(listing=listing, user=provider, shutdown_at=days(8), reason="Old.")
    assert (deprecated.status, deprecated.status_reason) == (ListingStatus.DEPRECATED, "Old.")
    assert deprecated.deprecated_at is not None
    notice = Notice.objects.get(kind=NoticeKind.DEPRECATED)
    assert (notice.user, notice.context["reason"]) == (consumer, "Old.")


def test_the_last_day_can_be_moved_but_not_nearer_than_a_week(
    listing: Listing, provider: User, issued_key: IssuedKey
) -> None:
    first = deprecate_listing(listing=listing, user=provider, shutdown_at=days(30))
    again = deprecate_listing(listing=listing, user=provider, shutdown_at=days(8))
    assert again.deprecated_at == first.deprecated_at
    with pytest.raises(InvalidRequest):
        deprecate_listing(listing=listing, user=provider, shutdown_at=days(1))


def test_without_holders_a_listing_ends_when_its_provider_says(listing: Listing, provider: User) -> None:
    deprecate_listing(listing=listing, user=provider, shutdown_at=days(0.01))
    assert withdraw_ended() == 0
    Listing.objects.update(shutdown_at=timezone.now())
    assert (withdraw_ended(), withdraw_ended()) == (1, 0)
    assert Listing.objects.get().status == ListingStatus.WITHDRAWN


def test_what_others_have_keys_for_is_neither_withdrawn_nor_made_private_at_once(
    listing: Listing, provider: User, issued_key: IssuedKey
) -> None:
    with pytest.raises(NotInThisState):
        withdraw_listing(listing=listing, user=provider)
    with pytest.raises(NotInThisState):
        edit_listing(listing=listing, user=provider, is_private=True)


def test_a_withdrawn_listing_comes_back_as_it_was(listing: Listing, provider: User) -> None:
    withdrawn = withdraw_listing(listing=listing, user=provider, reason="Tired.")
    assert (withdrawn.status, withdrawn.status_reason) == (ListingStatus.WITHDRAWN, "Tired.")
    with pytest.raises(NotInThisState):
        withdraw_listing(listing=listing, user=provider)
    back = republish_listing(listing=listing, user=provider)
    assert (back.status, back.current_release, back.status_reason) == ("published", listing.current_release, "")
    assert republish_listing(listing=listing, user=provider).status == ListingStatus.PUBLISHED


def test_a_deprecation_can_be_taken_back(listing: Listing, provider: User) -> None:
    deprecate_listing(listing=listing, user=provider, shutdown_at=days(8))
    back = republish_listing(listing=listing, user=provider)
    assert (back.status, back.shutdown_at, back.deprecated_at) == (ListingStatus.PUBLISHED, None, None)


def test_a_draft_cannot_be_republished_deprecated_or_withdrawn(provider: User) -> None:
    listing = make_draft(provider)
    for attempt in (
        lambda: republish_listing(listing=listing, user=provider),
        lambda: deprecate_listing(listing=listing, user=provider, shutdown_at=days(9)),
        lambda: withdraw_listing(listing=listing, user=provider),
    ):
        with pytest.raises(NotInThisState):
            attempt()


def test_a_provider_cannot_get_round_a_suspension(listing: Listing, provider: User) -> None:
    Listing.objects.update(status=ListingStatus.SUSPENDED)
    for attempt in (
        lambda: republish_listing(listing=listing, user=provider),
        lambda: deprecate_listing(listing=listing, user=provider, shutdown_at=days(9)),
        lambda: withdraw_listing(listing=listing, user=provider),
    ):
        with pytest.raises(NotInThisState):
            attempt()
    assert Listing.objects.get().status == ListingStatus.SUSPENDED


@pytest.mark.parametrize("status", [ListingStatus.WITHDRAWN, ListingStatus.SUSPENDED, ListingStatus.DRAFT])
def test_what_left_the_shelf_takes_no_more_calls_and_ends_those_under_way_in_full(
    listing: Listing, request_of: RequestMaker, status: ListingStatus
) -> None:
    begun = request_of()
    (opened,) = open_runs([begun])
    assert isinstance(opened, OpenedRun)
    Listing.objects.update(status=status)
    (refused,) = open_runs([request_of()])
    assert isinstance(refused, ModelNotFound)
    (settled,) = settle_runs([SettleRun(run_id=begun.run_id, status=RunStatus.SUCCEEDED, output_tokens=20)])
    assert (settled.now, settled.charge_nano) == (True, 18_000)


def test_what_is_deleted_while_it_is_served_ends_in_full_and_takes_no_more(
    listing: Listing, provider: User, consumer: User, issued_key: IssuedKey, request_of: RequestMaker
) -> None:
    begun = request_of()
    open_runs([begun])
    with pytest.raises(NotInThisState):
        delete_listing(listing=listing, user=provider)
    revoke_key(api_key=issued_key.api_key, user=consumer)
    delete_listing(listing=listing, user=provider)
    (refused,) = open_runs([request_of(api_key_id=None, user_id=consumer.pk)])
    assert isinstance(refused, ModelNotFound)
    (settled,) = settle_runs([SettleRun(run_id=begun.run_id, status=RunStatus.SUCCEEDED, output_tokens=20)])
    assert (settled.now, settled.charge_nano) == (True, 18_000)
    with pytest.raises(NotFound):
        republish_listing(listing=listing, user=provider)


def test_a_deprecated_listing_takes_calls(listing: Listing, provider: User, request_of: RequestMaker) -> None:
    deprecate_listing(listing=listing, user=provider, shutdown_at=days(8))
    (opened,) = open_runs([request_of()])
    assert isinstance(opened, OpenedRun)
    assert Price.objects.count() == 1
