"""A base that may be trained, a file whose tokens are counted, and jobs on it; after every test here the books are right."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from store.accounts.models import Organization, User
from store.catalog.actions import PriceSpec, publish_folder
from store.catalog.models import Blob, Listing, Price
from store.catalog.storage import keep_blob
from store.ledger.audit import audit
from store.ledger.models import Wallet
from store.tuning.actions.jobs import create_job
from store.tuning.models import DataFile, DataFormat, FileStatus, Tally, TallyStatus, TuneJob
from store.tuning.wishes import Wish
from tests.store.catalog.folders import write_folder

TRAINING_NANO = 3_000_000_000  # three dollars for a million tokens
FILE_TOKENS = 40_000  # of the training file; three epochs are 120,000, and cost $0.36
LINE = b'{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "He."}]}\n'

WishMaker = Callable[..., Wish]
JobMaker = Callable[..., TuneJob]


def put_away(organization: Organization, content: bytes) -> Blob:
    """Content of an organization, as an upload leaves it."""
    sha256 = hashlib.sha256(content).hexdigest()
    name = Blob(sha256=sha256).storage_name
    if not default_storage.exists(name):
        default_storage.save(name, ContentFile(content))
    return keep_blob(organization=organization, sha256=sha256, size=len(content), reserved=0)


def make_file(organization: Organization, *, content: bytes = LINE * 200, **fields: Any) -> DataFile:
    """A file that was read and may be trained on."""
    blob = put_away(organization, content)
    known = {"status": FileStatus.PROCESSED, "format": DataFormat.CHAT, "examples": 200} | fields
    return DataFile.objects.create(
        organization=organization, filename="train.jsonl", blob=blob, sha256=blob.sha256, size=blob.size, **known
    )


def count(file: DataFile, base: Listing, *, tokens: int = FILE_TOKENS, max_length: int = 512) -> Tally:
    """The tokens of a file for a base, counted."""
    return Tally.objects.create(
        file=file, release=base.current_release, max_length=max_length, status=TallyStatus.DONE, tokens=tokens,
        trainable_tokens=tokens // 2, longest=300, examples=file.examples,
    )  # fmt: skip


def allow_training(listing: Listing, **terms: Any) -> Price:
    """The listing's price from now on: training, too."""
    price = {"input_nano": 100_000_000, "cached_input_nano": 50_000_000, "output_nano": 400_000_000}
    return Price.objects.create(
        listing=listing, **price, **{"training_nano": TRAINING_NANO, "derivatives_allowed": True, **terms}
    )


@pytest.fixture
def base(listing: Listing) -> Listing:
    """``provider/bard``, which may be trained at three dollars for a million tokens."""
    allow_training(listing)
    return listing


@pytest.fixture
def real_base(base: Listing, file: DataFile, tmp_path: Path) -> Listing:
    """The base with a release that has files: a tiny GPT-2 of noise."""
    folder = write_folder(tmp_path / "tiny")
    spec = PriceSpec(
        input_nano=100_000_000, output_nano=400_000_000, training_nano=TRAINING_NANO, derivatives_allowed=True
    )
    publish_folder(organization=base.organization, user=None, folder=folder, slug=base.slug, price=spec)
    base.refresh_from_db()
    count(file, base, max_length=64)
    return base


@pytest.fixture
def file(consumer: User, base: Listing) -> DataFile:
    """200 dialogues of the consumer's, 40,000 tokens for the base."""
    made = make_file(consumer.personal_organization)
    count(made, base)
    return made


@pytest.fixture
def wish(consumer: User, base: Listing, file: DataFile, wallet: Wallet) -> Generator[WishMaker, None, None]:
    """Makes a wish of the consumer's, who has ten dollars: a supervised adapter, three epochs, unless told otherwise."""

    def make(**changes: Any) -> Wish:
        fields = {"organization": consumer.personal_organization, "base": base, "training_file": file}
        return Wish(**{**fields, "hyper": {"epochs": 3}, **changes})

    yield make
    assert audit() == []


@pytest.fixture
def job_of(consumer: User, wish: WishMaker) -> JobMaker:
    """Makes a job of the consumer's."""

    def make(**changes: Any) -> TuneJob:
        return create_job(wish=wish(**changes), user=consumer)

    return make
