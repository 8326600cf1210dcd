"""Releases are made of commits that were checked, and never change."""

from __future__ import annotations

import json
from typing import Any

from django.core.files.storage import default_storage
from django.db.models import Q

from inference.manifest import Adapter, Problem, check_adapter
from store.accounts.models import User
from store.catalog.actions.lineage import terms_of_release
from store.catalog.inspection import Inspection
from store.catalog.models import CALLABLE, Commit, Listing, Release, ReleaseFile
from store.catalog.storage import is_kept


def make_release(
    *, listing: Listing, commit: Commit, found: Inspection, user: User | None, base: Release | None = None
) -> Release:
    """The listing's release of these files; the one that there is. The listing's row is locked, so numbers have no gap and no double."""
    same = listing.releases.filter(digest=found.digest).first()
    if same:
        return same
    newest = listing.releases.order_by("-number").first()
    release = Release.objects.create(
        listing=listing,
        number=newest.number + 1 if newest else 1,
        digest=found.digest,
        size=found.size,
        architecture=found.architecture or (base.architecture if base else ""),
        parameters=found.parameters,
        context_length=found.context_length or (base.context_length if base else 0),
        vocab_size=found.vocab_size or (base.vocab_size if base else 0),
        card=found.card.body,
        commit=commit,
        task=found.task,
        base=base,
        terms=terms_of_release(listing, base=base, named=found.card.base_model),
        created_by=user,
    )
    ReleaseFile.objects.bulk_create(
        ReleaseFile(release=release, path=file.path, blob_id=file.sha256) for file in found.files
    )
    return release


def find_base(listing: Listing, adapter: Adapter) -> tuple[Release | None, list[Problem]]:
    """The release that an adapter changes: the organization's own, or a public one whose price terms let derivatives be sold."""
    base = _base_of(listing, adapter.base_digest)
    if isinstance(base, Problem):
        return None, [base]
    return base, check_adapter(adapter, config_of(base))


def config_of(base: Release, path: str = "config.json") -> dict[str, Any]:
    """Its config.json, or its adapter_config.json, which were checked when it became a release."""
    file = base.files.select_related("blob").get(path=path)
    with default_storage.open(file.blob.storage_name) as source:
        config: dict[str, Any] = json.load(source)
    return config


def _base_of(listing: Listing, digest: str) -> Release | Problem:
    own = Q(listing__organization=listing.organization_id, listing__deleted_at=None)
    public = Q(listing__is_private=False, listing__status__in=CALLABLE)
    bases = Release.objects.filter(own | public, digest=digest).select_related("listing__organization")
    kept = [base for base in bases if is_kept(base.listing.organization_id, base.files.all())]
    found = sorted(kept, key=lambda one: one.listing.organization_id != listing.organization_id)
    if not found:
        return _refused("no_base", "There is no release with the digest that adapter_config.json names as its base.")
    for base in found:
        if base.base_id is None and (base.listing.organization_id == listing.organization_id or _is_allowed(base)):
            return base
    if all(base.base_id for base in found):
        return _refused("base_is_adapter", "The base of an adapter must have full weights; this one is an adapter too.")
    return _refused("base_not_allowed", f"{found[0].listing.name} does not allow that fine-tunes of it are sold.")


def _is_allowed(base: Release) -> bool:
    price = base.listing.prices.current().first()
    return price is not None and price.derivatives_allowed


def _refused(code: str, message: str) -> Problem:
    return Problem("adapter_config.json", code, message)


def differs_in_card_only(release: Release, other: Release | None) -> bool:
    """Whether the two have the same files, README.md aside: then what was measured of one is true of the other."""
    return other is not None and release.base_id == other.base_id and _files(release) == _files(other)


def _files(release: Release) -> dict[str, str]:
    return dict(release.files.exclude(path="README.md").values_list("path", "blob_id"))
