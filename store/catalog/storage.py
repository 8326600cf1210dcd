"""What an organization keeps and may keep: content counted once, quotas that a race cannot exceed, and what nobody uses any more."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import Organization
from store.catalog.blobs import is_stored
from store.catalog.keepers import keepers
from store.catalog.models import Blob, CommitFile, Listing, OrganizationBlob, ReleaseFile, StorageUse, Weights
from store.errors import Conflict, StoreError

LOCK_BITS = 60  # of a digest: what a lock is named by; PostgreSQL's names have 63
GB = 10**9
DIGEST = re.compile(r"[0-9a-f]{64}")
BLOBS = "blobs"  # where Blob.storage_name begins


class QuotaExceeded(StoreError):
    """The organization keeps as much as it may."""

    code = "storage_quota_exceeded"
    status = 413


class LimitTooLow(Conflict):
    """A limit below what is kept and on its way, while something is on its way."""

    code = "storage_limit_too_low"


class ContentMissing(Conflict):
    """The bytes are not in the storage; they have to be sent."""

    code = "content_missing"


def storage_use(organization: Organization) -> StorageUse:
    """Bytes that the organization uses, has reserved and may have; a row is made where there was none."""
    use, _is_new = StorageUse.objects.get_or_create(
        organization=organization, defaults={"limit_bytes": settings.STORAGE_LIMIT_BYTES}
    )
    return use


def has_blobs(organization: Organization, sha256s: Collection[str]) -> set[str]:
    """Which of these the organization may use without sending them: its own, and those of public open-weights releases.

    Its own are kept for another UPLOAD_EXPIRES_S at least half: who was told that nothing need be sent has time to commit.
    """
    wanted = set(sha256s)
    own = OrganizationBlob.objects.filter(organization=organization, blob__in=wanted)
    own.filter(created_at__lt=timezone.now() - timedelta(seconds=settings.UPLOAD_EXPIRES_S / 2)).update(
        created_at=Now()
    )
    found = set(own.values_list("blob_id", flat=True))
    open_releases = Listing.objects.public().filter(weights=Weights.OPEN).values("current_release")
    public = ReleaseFile.objects.filter(release__in=open_releases, blob__in=wanted - found)
    return found | set(public.values_list("blob_id", flat=True))


def reserve(organization: Organization, size: int) -> None:
    """Sets ``size`` bytes aside, in one atomic step. Raises QuotaExceeded."""
    storage_use(organization)
    _change(organization, reserved=size)


def unreserve(organization: Organization, size: int) -> None:
    """Gives back what was reserved. The caller sees to it that this happens once."""
    _change(organization, reserved=-size)


def lock_storage(organization: Organization) -> None:
    """Until the transaction ends nobody else changes what the organization keeps. It comes before the lock of a content."""
    storage_use(organization)
    StorageUse.objects.select_for_update(no_key=True).get(organization=organization)


@transaction.atomic
def keep_blob(*, organization: Organization, sha256: str, size: int, reserved: int) -> Blob:
    """Writes down that the organization has sent this content, which is in the storage already (store.catalog.blobs).

    ``reserved`` bytes of the organization's reservation end here (0: nothing was reserved, and the quota is asked now). Equal content
    counts once. Raises QuotaExceeded, and ContentMissing where the storage does not have it.
    """
    lock_storage(organization)
    _one_at_a_time(sha256)
    if not is_stored(sha256, size):
        raise ContentMissing(_("The content is not here any more. Send it again."))
    blob, _is_first = Blob.objects.get_or_create(sha256=sha256, defaults={"size": size})
    _holder, is_new = OrganizationBlob.objects.update_or_create(
        organization=organization, blob=blob, defaults={"created_at": Now()}
    )
    _change(organization, used=size if is_new else 0, reserved=-reserved)
    return blob


def set_limit(*, organization: Organization, limit_bytes: int) -> None:
    """What the organization may keep from now on; what it keeps already stays. Raises LimitTooLow."""
    storage_use(organization)
    fits = Q(reserved_bytes=0) | Q(used_bytes__lte=limit_bytes - F("reserved_bytes"))
    if not StorageUse.objects.filter(fits, organization=organization).update(limit_bytes=limit_bytes):
        raise LimitTooLow(_("Uploads are on their way that need more than this."))


@transaction.atomic
def give_up(*, organization: Organization, sha256: str, before: datetime | None = None) -> bool:
    """The organization's content counts no more, where none of its rows holds it, and it came ``before``. Returns whether that is so."""
    lock_storage(organization)
    since = timezone.now() if before is None else before
    unheld = OrganizationBlob.objects.filter(*_unheld(), organization=organization, blob=sha256, created_at__lt=since)
    size = unheld.values_list("blob__size", flat=True).first()
    if size is None or not unheld.delete()[0]:
        return False
    _change(organization, used=-size)
    return True


def is_kept(organization_id: int, rows: QuerySet[CommitFile] | QuerySet[ReleaseFile]) -> bool:
    """Whether the organization has all content of a commit or release still: that of a deleted listing is collected."""
    kept = OrganizationBlob.objects.filter(organization=organization_id, blob=OuterRef("blob"))
    return not rows.filter(~Exists(kept)).exists()


def collect_unused() -> int:
    """Forgets content that nothing holds, UPLOAD_EXPIRES_S after it came: rows and files. Returns the bytes freed.

    Of a deleted listing the rows stay, for the books; the content goes all the same.
    """
    before = timezone.now() - timedelta(seconds=settings.UPLOAD_EXPIRES_S)
    _forget_holders(before)
    naming = [OrganizationBlob.objects.all(), *(keeper.rows for keeper in keepers())]
    nobody = [~Exists(rows.filter(blob=OuterRef("pk"))) for rows in naming]
    unused = Blob.objects.filter(*nobody, created_at__lt=before)
    for blob in unused.iterator():
        _forget(blob)
    return _sweep(before)


def _change(organization: Organization, *, used: int = 0, reserved: int = 0) -> None:
    """Raises QuotaExceeded where more would be kept than may be."""
    row = StorageUse.objects.filter(organization=organization)
    fitting = row.filter(limit_bytes__gte=F("used_bytes") + F("reserved_bytes") + used + reserved)
    grows = used + reserved > 0
    changes = {"used_bytes": F("used_bytes") + used, "reserved_bytes": F("reserved_bytes") + reserved}
    if not (fitting if grows else row).update(**changes):
        use = row.get()
        left = max(0, use.limit_bytes - use.used_bytes - use.reserved_bytes)
        raise QuotaExceeded(
            _("%(name)s may keep %(limit).1f GB. %(left).3f GB are left, and this needs %(size).3f GB.")
            % {
                "name": organization.slug,
                "limit": use.limit_bytes / GB,
                "left": left / GB,
                "size": (used + reserved) / GB,
            }
        )


def _one_at_a_time(sha256: str) -> None:
    """Until the transaction ends nobody else puts away or forgets this content."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int(sha256, 16) >> (256 - LOCK_BITS)])


def _forget_holders(before: datetime) -> None:
    """An organization's content that none of its own rows holds counts no more."""
    unused = OrganizationBlob.objects.filter(*_unheld(), created_at__lt=before)
    for holder in unused.select_related("organization").iterator():
        give_up(organization=holder.organization, sha256=holder.blob_id, before=before)


def _unheld() -> list[Q]:
    """Of OrganizationBlob: those of which no row of the organization holds the content."""
    same = [(each, {"blob": OuterRef("blob"), each.organization: OuterRef("organization")}) for each in keepers()]
    return [~Q(Exists(each.keeping.filter(**wanted))) for each, wanted in same]


def _held() -> QuerySet[Blob]:
    """Content whose file must be there."""
    holding = [OrganizationBlob.objects.all(), *(keeper.keeping for keeper in keepers())]
    return Blob.objects.filter(reduce(or_, (Q(Exists(rows.filter(blob=OuterRef("pk")))) for rows in holding)))


def _forget(blob: Blob) -> None:
    """The row goes, and the file when the storage is swept: a held row without its file would be a broken promise, a file without a
    row is only dead weight.
    """
    with suppress(IntegrityError), transaction.atomic():  # a commit or a release took it at this moment
        _one_at_a_time(blob.sha256)
        if not OrganizationBlob.objects.filter(blob=blob).exists():
            Blob.objects.filter(pk=blob.pk).delete()


def _sweep(before: datetime) -> int:
    """Deletes files that nobody holds: content that was forgotten, that only deleted listings name, or that was never written down
    because a process died or was refused. Returns their bytes.
    """
    folders = default_storage.listdir(BLOBS)[0] if default_storage.exists(BLOBS) else ()
    freed = 0
    for folder in folders:
        names = default_storage.listdir(f"{BLOBS}/{folder}")[1]
        held = set(_held().filter(pk__in=names).values_list("pk", flat=True))
        freed += sum(
            _delete_unheld(f"{BLOBS}/{folder}/{name}", before) for name in filter(DIGEST.match, set(names) - held)
        )
    return freed


def _delete_unheld(path: str, before: datetime) -> int:
    """A young file is content that somebody has just put there and is about to write down. Returns the bytes that are gone."""
    sha256 = path.rpartition("/")[2][:64]  # what was half written has a longer name
    with transaction.atomic():
        _one_at_a_time(sha256)
        if _held().filter(pk=sha256).exists() or default_storage.get_modified_time(path) >= before:
            return 0
        size: int = default_storage.size(path)
        default_storage.delete(path)
        return size
