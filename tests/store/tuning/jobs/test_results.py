"""What comes of a job: a private model that can be called at once, with a card that says how it was made."""

from __future__ import annotations

import json

import pytest
from django.core.files.storage import default_storage

from store.accounts.models import ProviderProfile, User
from store.catalog.actions import edit_listing, submit_commit
from store.catalog.actions.errors import NotInThisState
from store.catalog.models import Listing, ListingStatus, MeasurementStatus, Notice, NoticeKind, RoyaltyTerm, Weights
from store.catalog.reads import callable_listing
from store.errors import InvalidRequest
from store.keys.actions import issue_key
from store.ledger.models import Transfer
from store.tuning.actions.jobs import cancel_job, create_job
from store.tuning.actions.quoting import quote_job
from store.tuning.models import Adaptation, FilePurpose, JobStatus, TuneJob
from store.webhooks.actions import create_endpoint
from store.webhooks.models import WebhookEvent
from tests.store.tuning.jobs.conftest import JobMaker, WishMaker, count
from tests.store.tuning.jobs.fake_worker import RANK, FakeWorker, adapter_files

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("real_base")]


@pytest.fixture
def done(job_of: JobMaker) -> TuneJob:
    """A job that has succeeded."""
    job_of(suffix="old-style", sample_prompts=("To be",))
    worker = FakeWorker.take_up()
    worker.say("running", samples=[], perplexity_before=40.5)
    worker.finish(perplexity_after=20.25)
    return TuneJob.objects.full().get()


def test_the_result_is_private_and_callable_at_its_bases_price(done: TuneJob, base: Listing) -> None:
    listing, release = done.result_listing, done.result_release
    assert listing is not None
    assert release is not None
    assert (listing.name, listing.is_private, listing.status) == (
        "consumer/bard-old-style",
        True,
        ListingStatus.PUBLISHED,
    )
    assert (listing.current_release, release.base, listing.base, listing.base_relation) == (
        release,
        done.base,
        base,
        "adapter",
    )
    price, base_price = listing.prices.get(), base.prices.current()[0]
    assert (price.input_nano, price.output_nano) == (base_price.input_nano, base_price.output_nano)
    found = callable_listing(listing.name)
    assert found is not None
    assert found.base_digest == base.current_release.digest  # type: ignore[union-attr]
    assert release.measurements.get().status == MeasurementStatus.QUEUED


def test_its_card_says_how_it_was_made(done: TuneJob, base: Listing) -> None:
    assert done.result_release is not None
    card = done.result_release.card
    for said in (
        "provider/bard",
        done.base.digest,
        done.public_id,
        "learning_rate",
        "40.500",
        "20.250",
        "| 10 |",
        "200",
    ):  # type: ignore[union-attr]
        assert said in card, said
    assert "Who?" not in card  # the data is nobody's business


def test_what_it_owes_is_frozen(done: TuneJob, base: Listing) -> None:
    terms = RoyaltyTerm.objects.get()
    assert (terms.derivative, terms.base, terms.price, terms.is_trained) == (
        done.result_listing,
        base,
        done.price,
        True,
    )
    assert done.result_release is not None
    assert done.result_release.terms == terms


def test_the_metrics_are_a_file(done: TuneJob) -> None:
    file = done.result_file
    assert file is not None
    assert (file.purpose, file.filename) == (FilePurpose.RESULTS, "step_metrics.csv")
    assert file.blob is not None
    with default_storage.open(file.blob.storage_name) as content:
        lines = content.read().decode().splitlines()
    assert lines[0].startswith("step,train_loss,train_mean_token_accuracy,valid_loss,")
    assert lines[1].startswith("1,3.0,,,,0.0001,")
    assert len(lines) == 11


def test_who_asked_is_told(done: TuneJob, consumer: User) -> None:
    notice = Notice.objects.get(kind=NoticeKind.TUNED)
    assert notice.user == consumer
    assert notice.context["model"] == done.model_name


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
def test_webhooks_are_told_how_it_ended(job_of: JobMaker, consumer: User, end: str) -> None:
    create_endpoint(
        organization=consumer.personal_organization, user=consumer, url="https://example.com/hook",
        event_types=[f"fine_tuning.job.{end}"],
    )  # fmt: skip
    job = job_of()
    worker = FakeWorker.take_up()
    if end == "succeeded":
        worker.finish()
    elif end == "failed":
        worker.say("refused", error_code="invalid_data", error="Nothing to train on.")
    else:
        cancel_job(job=job)
    event = WebhookEvent.objects.get()
    assert (event.type, event.data["id"], event.data["status"]) == (f"fine_tuning.job.{end}", job.public_id, end)
    assert event.data["fine_tuned_model"] == (job.model_name if end == "succeeded" else None)


def test_the_key_that_asked_opens_it(wish: WishMaker, consumer: User, base: Listing) -> None:
    key = issue_key(organization=consumer.personal_organization, user=consumer, name="k", listings=[base]).api_key
    create_job(wish=wish(), user=consumer, api_key=key)
    worker = FakeWorker.take_up()
    worker.finish()
    assert worker.job.result_listing in key.listings.all()


def test_a_second_one_of_the_same_name_has_a_name_of_its_own(done: TuneJob, job_of: JobMaker) -> None:
    job = job_of(suffix="old-style")
    FakeWorker.take_up().finish()
    job.refresh_from_db()
    assert job.result_listing is not None
    assert job.result_listing.slug == f"bard-old-style-{job.public_id[6:14].lower()}"


def test_a_result_that_is_no_adapter_of_the_base_fails_and_costs_nothing(job_of: JobMaker) -> None:
    job_of()
    worker = FakeWorker.take_up()
    assert worker.job.base is not None
    files = adapter_files(worker.job.base)
    config = json.loads(files["adapter_config.json"]) | {"revision": "sha256:" + "0" * 64}
    worker.finish(files | {"adapter_config.json": json.dumps(config).encode()})
    assert (worker.job.status, worker.job.error_code, worker.job.charge_nano) == (
        JobStatus.FAILED,
        "result_rejected",
        0,
    )
    assert not Listing.objects.filter(organization=worker.job.organization).exists()


def test_a_result_that_has_not_arrived_fails_and_costs_nothing(job_of: JobMaker) -> None:
    job_of()
    worker = FakeWorker.take_up()
    worker.train(10)
    worker.say("done", files={"adapter_config.json": "0" * 64})
    assert (worker.job.status, worker.job.error_code) == (JobStatus.FAILED, "result_rejected")


def test_it_goes_the_way_of_every_model_before_it_is_sold(done: TuneJob, consumer: User) -> None:
    ProviderProfile.objects.create(organization=consumer.personal_organization)
    listing = done.result_listing
    assert listing is not None
    with pytest.raises(NotInThisState, match="checks"):
        edit_listing(listing=listing, user=consumer, is_private=False)
    assert submit_commit(listing=listing, user=consumer).commit.files.count() == 3


def test_training_goes_on_with_a_result(done: TuneJob, wish: WishMaker, consumer: User, base: Listing) -> None:
    first, root = done.result_listing, done.base
    assert first is not None
    assert root is not None
    file = done.training_file
    count(file, first, max_length=64)
    asked = wish(base=first, suffix="second")
    quote = quote_job(asked)
    assert quote.hyper is not None
    assert (quote.hyper.rank, quote.hyper.alpha, quote.hyper.targets) == (RANK, 4.0, "c_attn")
    with pytest.raises(InvalidRequest) as refused:
        quote_job(wish(base=first, hyper={"rank": 8}))
    assert refused.value.param == "rank"
    job = create_job(wish=asked, user=consumer)
    assert job.model_name.startswith(f"ft:{first.name}:consumer:second:")
    FakeWorker.take_up().finish()
    job = TuneJob.objects.full().get(pk=job.pk)
    assert (job.status, job.error_message) == (JobStatus.SUCCEEDED, "")
    second = job.result_release
    assert second is not None
    assert (second.base, second.listing.base, second.listing.base_relation) == (root, first, "adapter")
    assert second.terms is not None
    assert second.terms.base == first
    assert second.terms.inherited == done.result_release.terms  # type: ignore[union-attr]
    assert first.current_release.digest in second.card  # type: ignore[union-attr]
    # Nobody earns from their own: what the training cost went to the provider of the base.
    paid = Transfer.objects.filter(key__startswith=f"tune:{job.hold_id}:", credit__kind="earnings")
    assert set(paid.values_list("credit__organization", flat=True)) == {base.organization_id}


@pytest.mark.parametrize(("weights", "is_allowed"), [(Weights.CLOSED, False), (Weights.OPEN, True)])
def test_all_weights_of_a_result_are_trained_where_those_of_its_base_are_open(
    done: TuneJob, wish: WishMaker, base: Listing, weights: Weights, is_allowed: bool
) -> None:
    first = done.result_listing
    assert first is not None
    Listing.objects.filter(pk=base.pk).update(weights=weights)
    first = Listing.objects.select_related("current_release__base__listing").get(pk=first.pk)
    count(done.training_file, first, max_length=64)
    asked = wish(base=first, adaptation=Adaptation.FULL)
    if is_allowed:
        assert quote_job(asked).is_counted
        return
    with pytest.raises(InvalidRequest, match="are not open") as refused:
        quote_job(asked)
    assert refused.value.param == "adaptation"
