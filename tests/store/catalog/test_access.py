"""Gated files: asked for with answers, granted for a time, refused, taken back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from store.accounts.models import User
from store.catalog.actions import NotInThisState, ask_access, grant_access, refuse_access, revoke_access
from store.catalog.models import AccessRequest, AccessStatus, Listing, Notice, NoticeKind, Weights
from store.errors import InvalidRequest, NotFound

pytestmark = pytest.mark.django_db
S = AccessStatus


@pytest.fixture
def gated(listing: Listing) -> Listing:
    Listing.objects.update(weights=Weights.GATED, gate_questions=["Who are you?", "Why?"], gate_days=30)
    listing.refresh_from_db()
    return listing


def ask(listing: Listing, user: User, *answers: str) -> AccessRequest:
    return ask_access(listing=listing, user=user, answers=answers or ("A reader.", "To read."))


def opened(user: User) -> bool:
    return AccessRequest.objects.opening(user).exists()


def test_who_asks_waits_for_the_provider(gated: Listing, consumer: User, provider: User) -> None:
    access = ask(gated, consumer)
    assert (access.status, opened(consumer)) == (S.PENDING, False)
    assert access.answers == [["Who are you?", "A reader."], ["Why?", "To read."]]
    notice = Notice.objects.get()
    assert (notice.user, notice.kind, notice.context["email"]) == (provider, NoticeKind.ACCESS_ASKED, consumer.email)


def test_a_grant_opens_the_files_for_as_long_as_the_listing_says(
    gated: Listing, consumer: User, provider: User
) -> None:
    access = grant_access(access=ask(gated, consumer), user=provider)
    assert access.expires_at is not None
    assert timedelta(days=29) < access.expires_at - timezone.now() < timedelta(days=31)
    assert opened(consumer)
    assert grant_access(access=access, user=provider).decided_at == access.decided_at
    AccessRequest.objects.update(expires_at=timezone.now())
    assert not opened(consumer)


def test_an_expired_grant_can_be_asked_for_again(gated: Listing, consumer: User, provider: User) -> None:
    access = grant_access(access=ask(gated, consumer), user=provider)
    assert ask(gated, consumer).status == S.GRANTED
    AccessRequest.objects.update(expires_at=timezone.now())
    assert ask(gated, consumer) == access
    assert AccessRequest.objects.get().status == S.PENDING


def test_an_automatic_gate_opens_to_those_who_answer(gated: Listing, consumer: User) -> None:
    Listing.objects.update(gate_is_automatic=True, gate_days=None)
    access = ask(gated, consumer)
    assert (access.status, access.expires_at, opened(consumer)) == (S.GRANTED, None, True)
    assert not Notice.objects.exists()


@pytest.mark.parametrize(
    "answers", [(), ("One.",), ("One.", " "), ("One.", "x" * 2001), ("One.", "T\0o"), ("1", "2", "3")]
)
def test_every_question_is_answered(gated: Listing, consumer: User, answers: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ask_access(listing=gated, user=consumer, answers=answers)
    assert refused.value.param == "answers"
    assert not AccessRequest.objects.exists()


def test_asking_again_while_it_waits_replaces_the_answers(gated: Listing, consumer: User) -> None:
    first = ask(gated, consumer)
    again = ask(gated, consumer, "A writer.", "To write.")
    assert (again.pk, again.answers[0][1], AccessRequest.objects.count()) == (first.pk, "A writer.", 1)


def test_a_refusal_says_why_and_can_be_asked_again(gated: Listing, consumer: User, provider: User) -> None:
    access = refuse_access(access=ask(gated, consumer), user=provider, reason="Too short.")
    assert (access.status, access.reason) == (S.REFUSED, "Too short.")
    assert Notice.objects.filter(user=consumer, kind=NoticeKind.ACCESS_REFUSED).count() == 1
    with pytest.raises(NotInThisState):
        refuse_access(access=access, user=provider)
    assert ask(gated, consumer).status == S.PENDING


def test_access_can_be_taken_back(gated: Listing, consumer: User, provider: User) -> None:
    access = ask(gated, consumer)
    with pytest.raises(NotInThisState):
        revoke_access(access=access, user=provider)
    grant_access(access=access, user=provider)
    with pytest.raises(NotInThisState):
        refuse_access(access=access, user=provider)
    assert revoke_access(access=access, user=provider, reason="Leaked.").status == S.REFUSED
    assert not opened(consumer)


def test_only_the_provider_decides(gated: Listing, consumer: User, stranger: User) -> None:
    access = ask(gated, consumer)
    for verb in (grant_access, refuse_access, revoke_access):
        for user in (consumer, stranger):
            with pytest.raises(NotFound):
                verb(access=access, user=user)


@pytest.mark.parametrize("weights", [Weights.OPEN, Weights.CLOSED])
def test_what_is_not_gated_cannot_be_asked_for(gated: Listing, consumer: User, weights: Weights) -> None:
    Listing.objects.update(weights=weights)
    with pytest.raises(NotInThisState):
        ask(gated, consumer)


def test_a_private_listing_is_not_found_and_its_own_people_need_not_ask(
    gated: Listing, consumer: User, provider: User
) -> None:
    with pytest.raises(NotInThisState):
        ask(gated, provider)
    Listing.objects.update(is_private=True)
    with pytest.raises(NotFound):
        ask(gated, consumer)
