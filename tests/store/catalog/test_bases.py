"""An adapter names its base by digest: its own organization's, or one whose provider lets fine-tunes be sold."""

from __future__ import annotations

import json

import pytest

from inference.manifest import Adapter
from store.accounts.models import ProviderProfile, User
from store.catalog.actions import PriceSpec, publish_submission, set_price, submit_commit
from store.catalog.models import Listing, ListingStatus, Release, Submission, SubmissionStatus
from tests.store.catalog.drafts import add_text, check, make_draft, measure
from tests.store.catalog.folders import CONFIG

pytestmark = pytest.mark.django_db

OPEN = PriceSpec(input_nano=1, output_nano=1, derivatives_allowed=True, royalty_ppm=100_000)
CLOSED = PriceSpec(input_nano=1, output_nano=1)


@pytest.fixture
def seller(stranger: User) -> User:
    """Another provider, who has the base."""
    ProviderProfile.objects.create(organization=stranger.personal_organization)
    return stranger


def publish_base(user: User, price: PriceSpec, slug: str = "base") -> Release:
    listing = make_draft(user, slug)
    add_text(listing, user, config__json=json.dumps(CONFIG), vocab__txt=slug)
    submission = measure(check(submit_commit(listing=listing, user=user)))
    set_price(listing=listing, user=user, price=price)
    publish_submission(submission=submission, user=user)
    submission.refresh_from_db()
    assert submission.release is not None
    return submission.release


def checked(
    user: User, digest: str, slug: str = "tuned", *, modules: dict[str, tuple[int, int]] | None = None
) -> Submission:
    """An adapter of the base with this digest, checked."""
    fits = {"transformer.h.0.attn.c_attn": (8, 24)}
    adapter = Adapter(base_name="x/base", base_digest=digest, modules=modules or fits, parameters=64, tokens=0)
    found = {"architecture": "", "context_length": 0, "vocab_size": 0, "parameters": 64, "adapter": adapter}
    return check(submit_commit(listing=make_draft(user, slug), user=user), **found)


def codes(submission: Submission) -> list[str]:
    return [problem["code"] for problem in submission.problems]


def test_ones_own_base_needs_no_leave(provider: User) -> None:
    base = publish_base(provider, CLOSED)
    submission = checked(provider, base.digest)
    assert submission.status == SubmissionStatus.MEASURING, submission.problems
    release = submission.release
    assert release is not None
    assert (release.base, release.architecture, release.context_length) == (
        base,
        base.architecture,
        base.context_length,
    )
    assert release.parameters == 64


def test_anothers_base_is_used_where_its_terms_allow_it_and_the_page_says_so(provider: User, seller: User) -> None:
    base = publish_base(seller, OPEN)
    submission = measure(checked(provider, base.digest))
    set_price(listing=submission.listing, user=provider, price=CLOSED)
    publish_submission(submission=submission, user=provider)
    listing = Listing.objects.get(pk=submission.listing_id)
    assert (listing.base, listing.base_relation) == (base.listing, "adapter")


@pytest.mark.parametrize("change", ["terms", "private", "withdrawn"])
def test_anothers_base_is_refused_where_it_is_not_to_be_had(provider: User, seller: User, change: str) -> None:
    base = publish_base(seller, CLOSED if change == "terms" else OPEN)
    if change == "private":
        Listing.objects.filter(pk=base.listing_id).update(is_private=True)
    if change == "withdrawn":
        Listing.objects.filter(pk=base.listing_id).update(status=ListingStatus.WITHDRAWN)
    submission = checked(provider, base.digest)
    assert submission.status == SubmissionStatus.REJECTED
    assert codes(submission) == ["base_not_allowed" if change == "terms" else "no_base"]


def test_a_base_that_is_not_here_is_said_so(provider: User) -> None:
    assert codes(checked(provider, "sha256:" + "0" * 64)) == ["no_base"]


def test_an_adapter_is_no_base(provider: User) -> None:
    adapter = checked(provider, publish_base(provider, CLOSED).digest).release
    assert adapter is not None
    assert codes(checked(provider, adapter.digest, "again")) == ["base_is_adapter"]


def test_matrices_that_do_not_fit_are_refused(provider: User) -> None:
    base = publish_base(provider, CLOSED)
    assert codes(checked(provider, base.digest, modules={"transformer.h.0.attn.c_attn": (9, 24)})) == ["base_differs"]
