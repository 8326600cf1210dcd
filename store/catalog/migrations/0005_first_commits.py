"""Listings that were published before repositories were there get one: a commit for each release, ``main`` at the current one.

The organizations keep the content of their releases, and it counts against their storage.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.conf import settings
from django.db import migrations
from django.db.models import Sum


def first_commits(apps: Any, _schema_editor: Any) -> None:
    Listing, Commit = apps.get_model("catalog", "Listing"), apps.get_model("catalog", "Commit")
    Ref = apps.get_model("catalog", "Ref")
    for listing in Listing.objects.exclude(releases=None).filter(refs=None).distinct():
        made: dict[int, Any] = {}
        for release in listing.releases.order_by("number"):
            parent = next(reversed(made.values()), None)
            made[release.pk] = _commit(apps, listing, release, parent)
        head = made.get(listing.current_release_id) or next(reversed(made.values()))
        Ref.objects.create(listing=listing, kind="branch", name="main", commit=head)
    for organization in Commit.objects.values_list("listing__organization", flat=True).distinct():
        _keep(apps, organization)


def _commit(apps: Any, listing: Any, release: Any, parent: Any) -> Any:
    Commit, CommitFile = apps.get_model("catalog", "Commit"), apps.get_model("catalog", "CommitFile")
    title = f"Release {release.number}"
    document = json.dumps(["gpt-store commit 1", parent.oid if parent else "", release.digest, title, ""])
    commit = Commit.objects.create(
        listing=listing,
        oid=hashlib.sha256(document.encode()).hexdigest()[:40],
        parent=parent,
        digest=release.digest,
        title=title,
        size=release.size,
        author=release.created_by,
    )
    CommitFile.objects.bulk_create(
        CommitFile(commit=commit, path=file.path, blob_id=file.blob_id) for file in release.files.all()
    )
    return commit


def _keep(apps: Any, organization: int) -> None:
    Blob, OrganizationBlob = apps.get_model("catalog", "Blob"), apps.get_model("catalog", "OrganizationBlob")
    StorageUse, CommitFile = apps.get_model("catalog", "StorageUse"), apps.get_model("catalog", "CommitFile")
    held = CommitFile.objects.filter(commit__listing__organization=organization).values("blob")
    OrganizationBlob.objects.bulk_create(
        (OrganizationBlob(organization_id=organization, blob=blob) for blob in Blob.objects.filter(pk__in=held)),
        ignore_conflicts=True,
    )
    own = Blob.objects.filter(holders__organization=organization)
    StorageUse.objects.update_or_create(
        organization_id=organization,
        defaults={"used_bytes": own.aggregate(total=Sum("size"))["total"] or 0},
        create_defaults={
            "used_bytes": own.aggregate(total=Sum("size"))["total"] or 0,
            "limit_bytes": settings.STORAGE_LIMIT_BYTES,
        },
    )


class Migration(migrations.Migration):
    dependencies = [("catalog", "0004_lifecycle")]
    operations = [migrations.RunPython(first_commits, migrations.RunPython.noop)]
