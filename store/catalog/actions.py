"""What can be done to what is for sale: publish a folder as a release, and set a price."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from inference.manifest import Problem
from store.accounts.models import Organization, Role, User
from store.catalog.blobs import store_blob
from store.catalog.inspection import Inspection, inspect
from store.catalog.models import Blob, Listing, ListingStatus, Price, Release, ReleaseFile
from store.errors import Conflict, InvalidRequest, NotFound, PermissionDenied, StoreError

PUBLISHING_ROLES = (Role.OWNER, Role.ADMIN, Role.DEVELOPER)
SLUG = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
NANO_PER_USD = 1_000_000_000
MAX_PRICE_NANO = 1_000_000 * NANO_PER_USD  # a million dollars for a million tokens

# Where a listing may go by a provider's hand. SUSPENDED is the store's own word: nobody publishes over it.
PUBLISHABLE = (ListingStatus.DRAFT, ListingStatus.PUBLISHED, ListingStatus.DEPRECATED, ListingStatus.WITHDRAWN)


class ReleaseRejected(StoreError):
    """The files cannot be a release; ``problems`` says why, each with what to do."""

    code: ClassVar[str] = "release_rejected"
    status: ClassVar[int] = 422

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = problems


class NotAProvider(PermissionDenied):
    """The organization has not enrolled as a provider."""

    code = "not_a_provider"
    default_message = "This organization is not a provider yet."


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceSpec:
    """Nano-dollars per million tokens of a class, and per request. Cached input costs as input where it is None."""

    input_nano: int
    output_nano: int
    cached_input_nano: int | None = None
    request_nano: int = 0

    def check(self) -> None:
        """Raises InvalidRequest."""
        cached = self.input_nano if self.cached_input_nano is None else self.cached_input_nano
        prices = {
            "input": self.input_nano,
            "output": self.output_nano,
            "cached_input": cached,
            "request": self.request_nano,
        }
        for name, nano in prices.items():
            if not 0 <= nano <= MAX_PRICE_NANO:
                raise InvalidRequest(f"A price is 0 to {MAX_PRICE_NANO // NANO_PER_USD} USD.", param=name)
        if cached > self.input_nano:
            raise InvalidRequest("Cached input cannot cost more than input.", param="cached_input")

    def row(self, listing: Listing, user: User | None) -> Price:
        """An unsaved row."""
        cached = self.input_nano if self.cached_input_nano is None else self.cached_input_nano
        return Price(
            listing=listing, created_by=user, input_nano=self.input_nano, output_nano=self.output_nano,
            cached_input_nano=cached, request_nano=self.request_nano,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishProgress:
    """What publishing does now; ``done`` and ``total`` are bytes, 0 of 0 where they cannot be told."""

    step: str
    done: int = 0
    total: int = 0


def ignore_progress(_progress: PublishProgress) -> None:
    """For callers that show none."""


def publish_folder(
    *,
    organization: Organization,
    user: User | None,
    folder: Path,
    slug: str,
    price: PriceSpec,
    title: str = "",
    summary: str = "",
    licence: str = "",
    tags: tuple[str, ...] = (),
    is_private: bool = False,
    on_progress: Callable[[PublishProgress], None] = ignore_progress,
) -> Release:
    """Makes the folder the current release of ``organization/slug``, at this price; what is so already stays as it is.

    What is not given is taken from the card. ``user`` None is the store's operator. Raises ReleaseRejected, NotAProvider,
    NotFound (the user may not publish here), Conflict (suspended, or changed meanwhile), InvalidRequest, FileChanged, OSError.
    """
    _check_publisher(organization, user)
    price.check()
    on_progress(PublishProgress(step="checking"))
    found = inspect(folder)
    if found.problems:
        raise ReleaseRejected(found.problems)
    _store_files(found, folder, on_progress)
    shown = {
        "title": title or found.card.title or slug,
        "summary": summary or found.card.summary,
        "licence": licence or found.card.licence,
        "tags": list(tags or found.card.tags),
        "is_private": is_private,
    }
    _check_fields(slug, shown)
    return _publish(organization=organization, user=user, slug=slug, found=found, shown=shown, price=price)


def _check_publisher(organization: Organization, user: User | None) -> None:
    if user and not organization.memberships.filter(user=user, role__in=PUBLISHING_ROLES).exists():
        raise NotFound("There is no such organization.")
    if not hasattr(organization, "provider"):
        raise NotAProvider(f"{organization.slug} is not a provider yet.")


def _check_fields(slug: str, shown: dict[str, object]) -> None:
    if not SLUG.fullmatch(slug):
        raise InvalidRequest(
            "A model's name has small letters, digits and single dashes or underscores between them.", param="name"
        )
    if not shown["licence"]:
        raise InvalidRequest(
            "Name the licence (an SPDX identifier, such as apache-2.0), or write `license:` in the card.",
            param="licence",
        )
    try:
        Listing(slug=slug, **shown).clean_fields(exclude=["organization"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InvalidRequest(f"{field}: {messages[0]}", param=field) from None


def _store_files(found: Inspection, folder: Path, on_progress: Callable[[PublishProgress], None]) -> None:
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        on_progress(PublishProgress(step="storing", done=done, total=found.size))

    for entry in found.files:
        store_blob(entry, folder / entry.path, on_bytes=count)


@transaction.atomic
def _publish(
    *,
    organization: Organization,
    user: User | None,
    slug: str,
    found: Inspection,
    shown: dict[str, object],
    price: PriceSpec,
) -> Release:
    listing, _is_new = Listing.objects.get_or_create(organization=organization, slug=slug, defaults=shown)
    listing = Listing.objects.select_for_update(of=("self",)).get(pk=listing.pk)
    if listing.status not in PUBLISHABLE:
        raise Conflict(f"{listing.name} is {listing.get_status_display().lower()} and cannot be published.")
    release = listing.releases.filter(digest=found.digest).first() or _make_release(listing, user, found)
    set_price(listing=listing, user=user, price=price)
    wanted = {**shown, "current_release_id": release.pk, "status": ListingStatus.PUBLISHED}
    if any(getattr(listing, name) != value for name, value in wanted.items()):
        moved = Listing.objects.filter(pk=listing.pk, status=listing.status).update(
            **wanted, published_at=listing.published_at or timezone.now()
        )
        if moved != 1:
            raise Conflict(f"{listing.name} was changed at the same time; try again.")
        listing.refresh_from_db()
    release.listing = listing
    return release


def _make_release(listing: Listing, user: User | None, found: Inspection) -> Release:
    """A new row with its files. The listing's row is locked, so the numbers have no gap and no double."""
    newest = listing.releases.order_by("-number").first()
    release = Release.objects.create(
        listing=listing,
        number=newest.number + 1 if newest else 1,
        digest=found.digest,
        size=found.size,
        architecture=found.architecture,
        parameters=found.parameters,
        context_length=found.context_length,
        vocab_size=found.vocab_size,
        card=found.card.body,
        created_by=user,
    )
    blobs = {file.sha256: Blob(sha256=file.sha256, size=file.size) for file in found.files}
    Blob.objects.bulk_create(blobs.values(), ignore_conflicts=True)
    ReleaseFile.objects.bulk_create(
        ReleaseFile(release=release, path=file.path, blob_id=file.sha256) for file in found.files
    )
    return release


@transaction.atomic
def set_price(*, listing: Listing, user: User | None, price: PriceSpec) -> Price:
    """From now on the listing costs this; runs under way keep the price of their hold. The same price again makes no row."""
    price.check()
    row = price.row(listing, user)
    Listing.objects.select_for_update(of=("self",)).get(pk=listing.pk)
    current = listing.prices.current().first()
    same = ("input_nano", "output_nano", "cached_input_nano", "request_nano")
    if current and all(getattr(current, name) == getattr(row, name) for name in same):
        return current
    row.save(force_insert=True)
    return row
