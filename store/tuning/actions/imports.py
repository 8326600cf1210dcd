"""A data set of another Hub, by its name, becomes a file of training data; read by a child of a CPU worker (``workers.hub_data``)."""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from inference.manifest import hash_file
from store.accounts.models import Organization, User
from store.catalog import leases
from store.catalog.actions.errors import NotInThisState
from store.catalog.actions.moves import Transitions, move
from store.catalog.blobs import take_file
from store.catalog.storage import keep_blob, reserve, storage_use, unreserve
from store.errors import Conflict, InvalidRequest, NotFound
from store.outbox import send_after_commit
from store.tuning.models import OPEN_IMPORT, DataFile, DataImport, DataImportStatus
from store.uploads.actions import check_sender

MAX_ATTEMPTS = 5
MAX_OPEN = 3  # of an organization at once
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ +-]{0,99}")  # a config or a split
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")

S = DataImportStatus
TRANSITIONS: Transitions = {
    S.QUEUED: (S.RUNNING, S.FAILED, S.CANCELLED),
    S.RUNNING: (S.SUCCEEDED, S.FAILED, S.CANCELLED),
}


@transaction.atomic
def start_data_import(
    *, organization: Organization, user: User, repo_id: str, config: str = "", split: str = "train",
    revision: str = "main", most_rows: int | None = None,
) -> DataImport:  # fmt: skip
    """Queues the import of a split from settings.IMPORT_ENDPOINT. The same again, while it is under way, is the same import.

    ``repo_id``: ``org/name``, or ``name``; ``most_rows``: only the first so many. Raises NotFound, PermissionDenied, InvalidRequest
    naming the field, Conflict (as many as may be are under way).
    """
    check_sender(organization, user)
    if not NAME.fullmatch(repo_id) or ".." in repo_id:
        raise InvalidRequest(_("Name the data set as on its Hub, such as openai/gsm8k."), param="repo_id")
    if config and not WORD.fullmatch(config):
        raise InvalidRequest(_("This is no name of a configuration."), param="config")
    if not WORD.fullmatch(split):
        raise InvalidRequest(_("A split has a name, such as train."), param="split")
    if not REVISION.fullmatch(revision) or ".." in revision:
        raise InvalidRequest(_("A revision is a branch, a tag or a commit."), param="revision")
    if most_rows is not None and most_rows < 1:
        raise InvalidRequest(_("One row is the least."), param="most_rows")
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)  # two at once count each other
    asked = {"repo_id": repo_id, "config": config, "split": split, "revision": revision, "most_rows": most_rows}
    under_way = DataImport.objects.filter(organization=organization, status__in=OPEN_IMPORT)
    same = under_way.filter(**{name: value for name, value in asked.items() if value is not None}).first()
    if same and same.most_rows == most_rows:
        return same
    if under_way.count() >= MAX_OPEN:
        raise Conflict(_("%(count)d data sets are being imported: wait, or cancel one.") % {"count": MAX_OPEN})
    made = DataImport.objects.create(
        organization=organization, created_by=user, endpoint=settings.IMPORT_ENDPOINT, **asked
    )
    send_after_commit("data.import", made.pk)
    return made


@transaction.atomic
def cancel_data_import(*, data_import: DataImport, user: User) -> DataImport:
    """Stops it within seconds; nothing is kept. Again changes nothing. Raises NotFound, PermissionDenied, NotInThisState (it has ended)."""
    check_sender(data_import.organization, user)
    row = DataImport.objects.select_for_update(of=("self",)).get(pk=data_import.pk)
    if row.status != S.CANCELLED:
        move(row, S.CANCELLED, TRANSITIONS, ended_at=timezone.now())
    return row


def import_of(user: User, public_id: str) -> DataImport:
    """Raises NotFound."""
    found = (
        DataImport.objects.visible_to(user).select_related("organization", "file").filter(public_id=public_id).first()
    )
    if found is None:
        raise NotFound(_("There is no such import."))
    return found


def take_data_import(import_id: int) -> DataImport | None:
    """Takes what is due in hand. None: it is not due, was cancelled, or was cut off too often and has failed."""
    due = DataImport.objects.filter(pk=import_id, status__in=OPEN_IMPORT)
    if not leases.take(due, status=S.RUNNING):
        return None
    taken = due.select_related("organization", "created_by").get()
    if taken.attempts <= MAX_ATTEMPTS:
        return taken
    fail_data_import(taken, taken.error or _("It was cut off too often. Start it again later."))
    return None


def owned(taken: DataImport) -> QuerySet[DataImport]:
    """The row, while this attempt has it."""
    return DataImport.objects.filter(pk=taken.pk, attempts=taken.attempts, status=S.RUNNING)


def most_bytes(taken: DataImport) -> int:
    """What may come: as much as one file may have, and the organization has room for."""
    use = storage_use(taken.organization)
    return max(0, min(settings.MAX_FILE_BYTES, use.limit_bytes - use.used_bytes - use.reserved_bytes))


def fail_data_import(taken: DataImport, error: str) -> None:
    """It cannot be done; ``error`` is a sentence for who asked."""
    with transaction.atomic():
        row = owned(taken).select_for_update().first()
        if row:
            move(row, S.FAILED, TRANSITIONS, ended_at=timezone.now(), error=error)


def finish_data_import(taken: DataImport, path: Path) -> DataFile:
    """Keeps what was read as a data file, which is then read like any other. Not inside a transaction.

    Raises QuotaExceeded, NotInThisState (it was cancelled, or another attempt has it), OSError.
    """
    entry = hash_file(path)
    organization = taken.organization
    reserve(organization, entry.size)
    try:
        take_file(entry, path)
        with transaction.atomic():
            row = owned(taken).select_for_update().first()
            if row is None:
                raise NotInThisState(_("The import was cancelled."))
            blob = keep_blob(organization=organization, sha256=entry.sha256, size=entry.size, reserved=entry.size)
            made = DataFile.objects.create(
                organization=organization, filename=_filename(taken), size=entry.size, blob=blob, sha256=entry.sha256,
                created_by=taken.created_by,
            )  # fmt: skip
            move(row, S.SUCCEEDED, TRANSITIONS, ended_at=timezone.now(), file=made, error="", size=entry.size)
            send_after_commit("data.read", made.pk)
    except BaseException:
        unreserve(organization, entry.size)
        raise
    return made


def _filename(taken: DataImport) -> str:
    parts = [taken.repo_id.replace("/", "-"), taken.config, taken.split]
    return "-".join(part.replace(" ", "_") for part in parts if part)[:200] + ".jsonl"


def due_data_imports() -> list[int]:
    """Ids of those whose message was lost, or whose worker died."""
    due = DataImport.objects.filter(status__in=OPEN_IMPORT, due_at__lte=Now())
    return list(due.order_by("due_at").values_list("pk", flat=True)[:100])
