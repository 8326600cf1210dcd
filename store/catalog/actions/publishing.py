"""A folder on the operator's disk becomes the current release of a listing, at once: a commit on main, a release, published.

What a provider sends goes through ``submissions`` instead. A release that was not measured yet is on the shelf already, by the
operator's word; its numbers follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import Organization, User
from store.catalog.actions.errors import NotInThisState, ReleaseRejected
from store.catalog.actions.listings import TRANSITIONS, check_fields
from store.catalog.actions.measuring import measure_release
from store.catalog.actions.moves import move
from store.catalog.actions.permission import check_publisher
from store.catalog.actions.prices import PriceSpec, set_price
from store.catalog.actions.releases import find_base, make_release
from store.catalog.actions.repositories import replace_files
from store.catalog.blobs import store_blob
from store.catalog.inspection import Inspection, inspect
from store.catalog.models import Listing, ListingStatus, Release
from store.catalog.storage import keep_blob

MEASURED_AFTER = timedelta(minutes=2)  # a store that has just been brought up has its first calls to answer


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
    NotFound (the user may not publish here), Conflict (suspended, or changed meanwhile), InvalidRequest, QuotaExceeded, FileChanged,
    OSError.
    """
    check_publisher(organization, user)
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
    check_fields(slug, shown)
    return _publish(organization=organization, user=user, slug=slug, found=found, shown=shown, price=price)


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
    shown: dict[str, Any],
    price: PriceSpec,
) -> Release:
    listing, _is_new = Listing.objects.get_or_create(organization=organization, slug=slug, defaults=shown)
    listing = (
        Listing.objects.select_for_update(of=("self",), no_key=True).select_related("organization").get(pk=listing.pk)
    )
    if listing.status == ListingStatus.SUSPENDED:
        raise NotInThisState(_("%(name)s is suspended and cannot be published.") % {"name": listing.name})
    for file in sorted(found.files, key=lambda one: one.sha256):  # one order of locks for all
        keep_blob(organization=organization, sha256=file.sha256, size=file.size, reserved=0)
    commit = replace_files(listing=listing, user=user, files=found.files, title=_("Publish a folder"))
    base, misfits = find_base(listing, found.adapter) if found.adapter else (None, [])
    if misfits:
        raise ReleaseRejected(tuple(misfits))
    release = make_release(listing=listing, commit=commit, found=found, user=user, base=base)
    set_price(listing=listing, user=user, price=price)
    wanted = {**shown, "task": release.task, "current_release": release, "deleted_at": None}
    if listing.status != ListingStatus.PUBLISHED or any(getattr(listing, name) != wanted[name] for name in wanted):
        published_at = listing.published_at or timezone.now()
        move(listing, ListingStatus.PUBLISHED, TRANSITIONS, **wanted, published_at=published_at)
    if not release.measurements.exists():
        measure_release(release, due_at=timezone.now() + MEASURED_AFTER)
    release.listing = listing
    return release
