"""A job holds the most that it may cost before it is queued; it is paused, resumed and cancelled by those who pay for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from store.accounts.models import Membership, Role, User
from store.catalog.actions.errors import NotInThisState
from store.catalog.models import Listing, ListingStatus, Weights
from store.errors import InvalidRequest, StoreError
from store.keys.actions import issue_key
from store.ledger.actions import store_wallet, wallet_of
from store.ledger.audit import audit
from store.ledger.errors import InsufficientCredit, SpendingFrozen
from store.ledger.freezing import freeze
from store.ledger.models import Frozen, Hold, HoldStatus, Transfer, TransferKind, Wallet, WalletKind
from store.runs.books import ReplayKey, ReplayMismatch
from store.tuning.actions.jobs import cancel_job, create_job, pause_job, resume_job, validate_job
from store.tuning.actions.quoting import quote_job
from store.tuning.errors import BaseRefused, DataRefused, JobNotFound, MayNotTune
from store.tuning.models import (
    Adaptation,
    DataFile,
    DataFormat,
    FileStatus,
    JobStatus,
    Tally,
    TallyStatus,
    TuneJob,
    TuneMethod,
)
from tests.conftest import make_listing, make_user
from tests.store.tuning.jobs.conftest import JobMaker, WishMaker, allow_training, count, make_file

pytestmark = pytest.mark.django_db
MOST_NANO = 360_000_000  # three epochs of 40,000 tokens at three dollars a million


def trained(job: TuneJob, tokens: int) -> TuneJob:
    """As if a worker had said so."""
    TuneJob.objects.filter(pk=job.pk).update(trained_tokens=tokens)
    job.refresh_from_db()
    return job


def test_a_quote_has_every_value_and_the_most_that_it_may_cost(wish: WishMaker) -> None:
    quote = quote_job(wish(hyper={}))
    assert quote.hyper is not None
    assert (quote.hyper.epochs, quote.tokens, quote.amount_nano) == (3.0, 120_000, MOST_NANO)
    assert quote.hyper.max_length == 300  # as long as the longest example, for the base reads 512
    assert quote.steps > 0
    assert not Hold.objects.exists()


def test_a_job_holds_its_worst_case_and_waits_in_line(job_of: JobMaker, wallet: Wallet) -> None:
    job = job_of()
    wallet.refresh_from_db()
    assert (job.status, job.quote_tokens, wallet.held_nano) == (JobStatus.QUEUED, 120_000, MOST_NANO)
    assert job.hyper["epochs"] == 3
    assert job.position() == 1
    assert job.public_id.startswith("ftjob-")
    assert job.model_name == f"ft:provider/bard:consumer::{job.public_id[6:14]}"
    assert job.hold is not None
    assert (job.hold.expires_at - job.created_at).total_seconds() == pytest.approx(settings.TUNE_DEADLINE_S, abs=60)
    assert [event.message[:21] for event in job.events.order_by("id")] == [
        "The job was created.",
        "The job is queued: up",
    ]


def test_without_the_money_nothing_is_made(wish: WishMaker, consumer: User) -> None:
    with pytest.raises(InsufficientCredit, match=r"\$12\.00"):
        create_job(wish=wish(hyper={"epochs": 100}), user=consumer)
    assert not TuneJob.objects.exists()
    assert not Hold.objects.exists()


def test_a_job_that_is_cancelled_in_line_costs_nothing(job_of: JobMaker, consumer: User, wallet: Wallet) -> None:
    job = cancel_job(job=job_of(), user=consumer)
    assert (job.status, job.charge_nano) == (JobStatus.CANCELLED, 0)
    wallet.refresh_from_db()
    assert (wallet.posted_nano, wallet.held_nano) == (10 * 10**9, 0)
    assert Hold.objects.get().status == HoldStatus.VOIDED
    assert cancel_job(job=job, user=consumer).status == JobStatus.CANCELLED


def test_a_cancelled_job_pays_for_what_was_trained(job_of: JobMaker, provider: User, wallet: Wallet) -> None:
    job = cancel_job(job=trained(job_of(), 50_001))
    assert (job.charged_tokens, job.charge_nano) == (50_001, 150_003_000)
    wallet.refresh_from_db()
    assert (wallet.posted_nano, wallet.held_nano) == (10 * 10**9 - 150_003_000, 0)
    assert wallet_of(provider.personal_organization.id, WalletKind.EARNINGS).posted_nano == 127_502_550
    assert store_wallet(WalletKind.PLATFORM).posted_nano == 22_500_450
    assert set(Transfer.objects.filter(key__startswith="tune:").values_list("kind", flat=True)) == {
        TransferKind.USAGE,
        TransferKind.COMMISSION,
    }


def test_a_charge_is_rounded_up_once(job_of: JobMaker, base: Listing) -> None:
    allow_training(base, training_nano=1)
    job = cancel_job(job=trained(job_of(), 1))
    assert job.charge_nano == 1


def test_a_charge_is_never_more_than_was_held(job_of: JobMaker, caplog: pytest.LogCaptureFixture) -> None:
    job = cancel_job(job=trained(job_of(), 10**9))
    assert job.charge_nano == MOST_NANO
    assert "120000 are held" in caplog.text


def test_a_base_of_ones_own_needs_no_leave(provider: User, wish: WishMaker) -> None:
    own = make_listing(provider.personal_organization, "own")
    file = make_file(provider.personal_organization)
    count(file, own)
    made = create_job(
        wish=wish(organization=provider.personal_organization, base=own, training_file=file), user=provider
    )
    assert (made.status, made.hold and made.hold.amount_nano) == (JobStatus.QUEUED, 0)
    assert cancel_job(job=trained(made, 1000)).charge_nano == 0


def test_a_model_from_scratch_is_paid_to_the_platform(wish: WishMaker, consumer: User, provider: User) -> None:
    file = make_file(consumer.personal_organization, content=b"To be. " * 1000, format=DataFormat.TEXT, examples=1)
    made = create_job(
        wish=wish(base=None, training_file=file, method=TuneMethod.SCRATCH, adaptation=Adaptation.FULL, suffix="tiny"),
        user=consumer,
    )
    assert made.quote_tokens == 3 * (7000 + 1)  # a byte is a token at worst, and every text has an end
    assert made.model_name.startswith("ft:scratch:consumer:tiny:")
    assert made.shape["architecture"] == "gpt2"
    job = cancel_job(job=trained(made, 2000))
    assert job.charge_nano == 2000 * settings.TRAINING_PRICE_NANO // 10**6
    assert store_wallet(WalletKind.PLATFORM).posted_nano == job.charge_nano


def test_the_price_is_the_one_of_the_hold(job_of: JobMaker, base: Listing) -> None:
    job = trained(job_of(), 1000)
    allow_training(base, training_nano=10**12)
    assert cancel_job(job=job).charge_nano == 3_000_000


def test_the_same_key_again_is_the_same_job(wish: WishMaker, consumer: User, wallet: Wallet) -> None:
    replay = ReplayKey(key="once", body_sha256=b"a" * 32)
    jobs = {create_job(wish=wish(), user=consumer, replay=replay).pk for _time in range(3)}
    assert len(jobs) == 1
    wallet.refresh_from_db()
    assert wallet.held_nano == MOST_NANO
    with pytest.raises(ReplayMismatch):
        create_job(wish=wish(), user=consumer, replay=ReplayKey(key="once", body_sha256=b"b" * 32))


@pytest.mark.django_db(transaction=True)
def test_the_same_key_at_the_same_time_is_one_job_and_one_hold(wish: WishMaker, consumer: User, wallet: Wallet) -> None:
    asked, replay = wish(), ReplayKey(key="once", body_sha256=b"a" * 32)

    def ask(_number: int) -> int:
        try:
            return create_job(wish=asked, user=consumer, replay=replay).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    wallet.refresh_from_db()
    assert wallet.held_nano == MOST_NANO


@pytest.mark.django_db(transaction=True)
def test_however_many_ask_at_once_a_balance_is_held_once(wish: WishMaker, consumer: User, wallet: Wallet) -> None:
    asked = wish(hyper={"epochs": 30})  # $3.60 each: ten dollars are two of them

    def ask(_number: int) -> bool:
        try:
            return bool(create_job(wish=asked, user=consumer))
        except InsufficientCredit:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, range(8))) == 2


class TestWhileTheTokensAreCounted:
    """A job may be asked for the moment a file has arrived."""

    @pytest.fixture
    def fresh(self, consumer: User) -> DataFile:
        return make_file(
            consumer.personal_organization, content=b"new", status=FileStatus.UPLOADED, format="", examples=0
        )

    def test_it_waits_and_is_held_once_they_are(
        self, wish: WishMaker, consumer: User, fresh: DataFile, base: Listing, wallet: Wallet
    ) -> None:
        job = create_job(wish=wish(training_file=fresh), user=consumer)
        validate_job(job.pk)
        job.refresh_from_db()
        assert (job.status, job.hold) == (JobStatus.VALIDATING, None)
        DataFile.objects.filter(pk=fresh.pk).update(status=FileStatus.PROCESSED, format=DataFormat.CHAT, examples=9)
        Tally.objects.update(status=TallyStatus.DONE, tokens=900, longest=100, examples=9)
        validate_job(job.pk)
        validate_job(job.pk)
        job.refresh_from_db()
        assert (job.status, job.quote_tokens) == (JobStatus.QUEUED, 2700)

    def test_money_that_is_spent_meanwhile_fails_it(
        self, wish: WishMaker, consumer: User, fresh: DataFile, base: Listing, job_of: JobMaker
    ) -> None:
        job = create_job(wish=wish(training_file=fresh), user=consumer)
        job_of(hyper={"epochs": 80})  # $9.60 of the ten dollars
        DataFile.objects.filter(pk=fresh.pk).update(status=FileStatus.PROCESSED, format=DataFormat.CHAT, examples=9)
        Tally.objects.filter(file=fresh).update(status=TallyStatus.DONE, tokens=200_000, longest=100, examples=9)
        validate_job(job.pk)
        job.refresh_from_db()
        assert (job.status, job.error_code, job.charge_nano) == (JobStatus.FAILED, "insufficient_credit", 0)
        assert "$0.40" in job.error_message

    def test_a_file_that_cannot_be_used_fails_it(self, wish: WishMaker, consumer: User, fresh: DataFile) -> None:
        job = create_job(wish=wish(training_file=fresh), user=consumer)
        DataFile.objects.filter(pk=fresh.pk).update(status=FileStatus.ERROR, status_details="Line 7 is no JSON.")
        validate_job(job.pk)
        job.refresh_from_db()
        assert (job.status, job.error_code, job.error_param) == (
            JobStatus.FAILED,
            "invalid_training_file",
            "training_file",
        )
        assert "Line 7" in job.error_message

    def test_a_wrong_hyperparameter_is_refused_at_once(self, wish: WishMaker, consumer: User, fresh: DataFile) -> None:
        with pytest.raises(InvalidRequest) as refused:
            create_job(wish=wish(training_file=fresh, hyper={"epochs": -1}), user=consumer)
        assert refused.value.param == "epochs"

    def test_it_can_be_cancelled(self, wish: WishMaker, consumer: User, fresh: DataFile) -> None:
        job = cancel_job(job=create_job(wish=wish(training_file=fresh), user=consumer), user=consumer)
        assert (job.status, job.charge_nano) == (JobStatus.CANCELLED, 0)
        validate_job(job.pk)


def test_pausing_and_resuming_keep_the_hold(job_of: JobMaker, consumer: User, wallet: Wallet) -> None:
    job = job_of()
    assert pause_job(job=job, user=consumer).status == JobStatus.PAUSED
    assert pause_job(job=job, user=consumer).status == JobStatus.PAUSED
    assert job.position() is None
    wallet.refresh_from_db()
    assert wallet.held_nano == MOST_NANO
    assert resume_job(job=job, user=consumer).status == JobStatus.QUEUED
    assert resume_job(job=job, user=consumer).status == JobStatus.QUEUED
    assert job.position() == 1


def test_what_has_ended_stays_ended(job_of: JobMaker, consumer: User) -> None:
    job = cancel_job(job=job_of(), user=consumer)
    with pytest.raises(NotInThisState):
        pause_job(job=job, user=consumer)
    with pytest.raises(NotInThisState):
        resume_job(job=job, user=consumer)


@pytest.mark.parametrize("verb", [cancel_job, pause_job, resume_job])
def test_nobody_else_touches_a_job(job_of: JobMaker, stranger: User, consumer: User, verb: Any) -> None:
    job = job_of()
    with pytest.raises(JobNotFound):
        verb(job=job, user=stranger)
    viewer = make_user("viewer")
    Membership.objects.create(organization=consumer.personal_organization, user=viewer, role=Role.VIEWER)
    with pytest.raises(MayNotTune):
        verb(job=job, user=viewer)
    assert list(TuneJob.objects.visible_to(stranger)) == []
    assert list(TuneJob.objects.visible_to(viewer)) == [job]


def test_a_key_asks_for_its_organization(wish: WishMaker, consumer: User, base: Listing) -> None:
    key = issue_key(organization=consumer.personal_organization, user=consumer, name="k", listings=[base]).api_key
    assert create_job(wish=wish(), user=consumer, api_key=key).api_key == key


def refused(wish: WishMaker, **changes: Any) -> StoreError:
    with pytest.raises(StoreError) as found:
        quote_job(wish(**changes))
    return found.value


class TestWhatIsRefused:
    def test_terms_that_do_not_allow_it(self, wish: WishMaker, base: Listing) -> None:
        allow_training(base, derivatives_allowed=False)
        error = refused(wish)
        assert isinstance(error, BaseRefused)
        assert "do not allow fine-tunes" in error.message

    @pytest.mark.parametrize("standing", [ListingStatus.WITHDRAWN, ListingStatus.SUSPENDED, ListingStatus.DRAFT])
    def test_a_base_that_is_not_on_the_shelf(self, wish: WishMaker, base: Listing, standing: str) -> None:
        base.status = standing
        assert refused(wish, base=base).param == "model"

    def test_somebody_elses_private_base(self, wish: WishMaker, base: Listing) -> None:
        base.is_private = True
        assert refused(wish, base=base).param == "model"

    def test_all_weights_of_a_base_whose_weights_are_closed(self, wish: WishMaker, base: Listing) -> None:
        assert refused(wish, adaptation=Adaptation.FULL).param == "adaptation"
        base.weights = Weights.OPEN
        assert quote_job(wish(base=base, adaptation=Adaptation.FULL)).is_counted

    def test_data_of_another_kind(self, wish: WishMaker) -> None:
        error = refused(wish, method=TuneMethod.DPO)
        assert isinstance(error, DataRefused)
        assert error.param == "training_file"

    def test_data_that_was_deleted(self, wish: WishMaker, file: DataFile) -> None:
        file.blob_id = None
        assert refused(wish, training_file=file).param == "training_file"

    @pytest.mark.parametrize("suffix", ["a b", "x" * 65, "a:b", "-a", "ä"])
    def test_a_suffix_that_is_no_name(self, wish: WishMaker, suffix: str) -> None:
        assert refused(wish, suffix=suffix).param == "suffix"

    def test_more_metadata_than_may_be(self, wish: WishMaker) -> None:
        assert refused(wish, metadata={f"k{n}": "v" for n in range(17)}).param == "metadata"

    def test_a_hyperparameter_that_is_none(self, wish: WishMaker) -> None:
        assert refused(wish, hyper={"speed": 3}).param == "speed"

    def test_a_base_for_a_model_from_scratch(self, wish: WishMaker) -> None:
        assert refused(wish, method=TuneMethod.SCRATCH).param == "model"


def test_the_audit_finds_a_charge_that_is_wrong(job_of: JobMaker) -> None:
    job = cancel_job(job=trained(job_of(), 1000))
    TuneJob.objects.filter(pk=job.pk).update(charge_nano=1)
    assert {found.check for found in audit()} == {
        "charge of a training",
        "hold of a training",
        "transfers of a training",
    }
    TuneJob.objects.filter(pk=job.pk).update(charge_nano=3_000_000)


def test_the_audit_finds_an_ended_job_with_an_open_hold(job_of: JobMaker) -> None:
    job = job_of()
    TuneJob.objects.filter(pk=job.pk).update(status=JobStatus.CANCELLED)
    assert [found.check for found in audit()] == ["hold of a training"]
    TuneJob.objects.filter(pk=job.pk).update(status=JobStatus.QUEUED)


def test_an_organization_whose_spending_is_frozen_has_nothing_held_for_a_training(
    job_of: JobMaker, consumer: User, wallet: Wallet
) -> None:
    freeze(organization=consumer.personal_organization, what=Frozen.SPENDING)
    with pytest.raises(SpendingFrozen):
        job_of()
    assert not Hold.objects.exists()
    assert not TuneJob.objects.exists()
