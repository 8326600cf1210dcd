"""A training on a model that was made from others pays those, too: by the plan of its hold, to the unit."""

from __future__ import annotations

import pytest

from store.accounts.models import User
from store.catalog.models import Listing
from store.ledger.audit import audit
from store.ledger.models import Transfer
from store.tuning.actions.jobs import cancel_job, create_job
from store.tuning.models import DataFile, TuneJob
from tests.conftest import make_listing
from tests.store.derivatives import made_from, set_royalty
from tests.store.tuning.jobs.conftest import WishMaker, allow_training, count

pytestmark = pytest.mark.django_db


@pytest.fixture
def tuned(stranger: User, provider: User, file: DataFile) -> Listing:
    """``provider/tuned``, made from ``stranger/root``, which has 10 % of what is charged for it; others may train it."""
    root = make_listing(stranger.personal_organization, "root")
    set_royalty(root, 100_000)
    listing = made_from(root, provider, "tuned")
    allow_training(listing)
    count(file, listing)
    return listing


@pytest.fixture
def job(wish: WishMaker, consumer: User, tuned: Listing) -> TuneJob:
    made = create_job(wish=wish(base=tuned), user=consumer)
    TuneJob.objects.filter(pk=made.pk).update(trained_tokens=10_000)
    return made


def test_a_training_pays_the_models_that_its_base_was_made_from(job: TuneJob, stranger: User) -> None:
    ended = cancel_job(job=job)
    assert ended.charge_nano == 30_000_000
    moved = Transfer.objects.filter(key__startswith=f"tune:{ended.hold_id}:")
    assert dict(moved.values_list("kind", "amount_nano")) == {
        "usage": 22_500_000, "commission": 4_500_000, "royalty": 3_000_000,
    }  # fmt: skip
    royalty = moved.get(kind="royalty")
    assert royalty.credit.organization == stranger.personal_organization
    assert audit() == []


def test_terms_that_change_after_the_hold_change_nothing(job: TuneJob, tuned: Listing) -> None:
    set_royalty(Listing.objects.get(slug="root"), 500_000)
    ended = cancel_job(job=job)
    assert Transfer.objects.get(key__startswith=f"tune:{ended.hold_id}:royalty").amount_nano == 3_000_000


def test_the_audit_finds_a_plan_that_is_not_the_one_of_the_hold(job: TuneJob) -> None:
    ended = cancel_job(job=job)
    shares_id = ended.shares_id
    TuneJob.objects.filter(pk=ended.pk).update(shares=None)
    assert [found.check for found in audit()] == ["royalties of a training"]
    TuneJob.objects.filter(pk=ended.pk).update(shares_id=shares_id)
