"""Listings on their way: a draft with files, a submission that was checked, measured, or published."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage

from inference.manifest import Problem, hash_file, release_digest
from inference.wire import MeasurementReport
from store.accounts.models import User
from store.catalog.actions import PriceSpec, publish_submission, set_price, submit_commit, take_measurement
from store.catalog.actions.commits import AddFile, Change, files_at
from store.catalog.actions.repositories import commit_files, create_listing
from store.catalog.actions.submissions import begin_measurement, finish_check
from store.catalog.blobs import store_blob, store_data
from store.catalog.card import Card, read_card
from store.catalog.inspection import Inspection
from store.catalog.models import Commit, Listing, Submission
from store.catalog.storage import keep_blob

PRICE = PriceSpec(input_nano=500_000_000, output_nano=1_500_000_000)


def add_text(listing: Listing, user: User, **files: str) -> Commit:
    """A commit of small files. A dot in a name is written as two underscores: ``README__md="# Bard"``."""
    changes: list[Change] = []
    for name, text in files.items():
        data = text.encode()
        sha256 = hashlib.sha256(data).hexdigest()
        store_data(sha256, data)
        keep_blob(organization=listing.organization, sha256=sha256, size=len(data), reserved=0)
        changes.append(AddFile(name.replace("__", "."), sha256))
    return commit_files(listing=listing, user=user, changes=changes, title="Upload")


def add_folder(listing: Listing, user: User, folder: Path) -> Commit:
    """A commit of everything in a folder."""
    changes: list[Change] = []
    for path in sorted(folder.iterdir()):
        entry = hash_file(path)
        store_blob(entry, path, on_bytes=lambda _size: None)
        keep_blob(organization=listing.organization, sha256=entry.sha256, size=entry.size, reserved=0)
        changes.append(AddFile(entry.path, entry.sha256))
    return commit_files(listing=listing, user=user, changes=changes, title="Upload")


def make_draft(provider: User, slug: str = "bard", *, card: str = "---\nlicense: apache-2.0\n---\n# Bard\n") -> Listing:
    """A listing whose files nobody opens: its checks are told what to find (see ``check``)."""
    listing = create_listing(
        organization=provider.personal_organization, user=provider, slug=slug, is_private=False, title=slug.title()
    )
    add_text(listing, provider, README__md=card, config__json="{}")
    return listing


def found_in(commit: Commit, *, problems: tuple[Problem, ...] = (), **numbers: Any) -> Inspection:
    """What the child would say of a commit."""
    files = tuple(files_at(commit))
    card_file = commit.files.filter(path="README.md").select_related("blob").first()
    card = Card()
    if card_file:
        with default_storage.open(card_file.blob.storage_name) as source:
            card = read_card(source.read().decode())
    fields = {
        "architecture": "GPT2LMHeadModel", "parameters": 1000, "context_length": 64, "vocab_size": 300, "task": "text-generation",
        "adapter": None, "has_held_out": False, "has_chat_template": False,
    }  # fmt: skip
    return Inspection(
        files=files, digest=release_digest(files), card=card, problems=problems, **{**fields, **numbers}
    )  # fmt: skip


def check(submission: Submission, **found: Any) -> Submission:
    """Ends the check of a submission as a worker does."""
    finish_check(submission, found_in(submission.commit, **found))
    submission.refresh_from_db()
    return submission


def measure(submission: Submission, **report: Any) -> Submission:
    """Ends the measurement of a submission as a worker does."""
    measurement = begin_measurement(submission.measurement_id or 0)
    assert measurement is not None
    message = MeasurementReport(**{"status": "done", "perplexity": 12.5, "ttft_ms": 40.0, **report}).as_json()
    take_measurement(measurement_id=measurement.pk, attempt=measurement.attempts, message=message)
    submission.refresh_from_db()
    return submission


def make_ready(provider: User, slug: str = "bard") -> Submission:
    """A submission that waits for its provider."""
    listing = make_draft(provider, slug)
    return measure(check(submit_commit(listing=listing, user=provider)))


def make_published(provider: User, slug: str = "bard") -> Listing:
    """A listing that went all the way."""
    submission = make_ready(provider, slug)
    set_price(listing=submission.listing, user=provider, price=PRICE)
    publish_submission(submission=submission, user=provider)
    return Listing.objects.get(pk=submission.listing_id)
