"""What the pages of training data show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import Organization, User
from store.catalog.actions.permission import may_publish
from store.catalog.models import CALLABLE, Listing
from store.catalog.storage import storage_use
from store.console.arrivals import Arrival, size_problem
from store.console.forms.data_files import ImportForm
from store.errors import InvalidRequest, NotFound, StoreError
from store.ledger.pricing import training_charge
from store.tuning.actions.files import add_file
from store.tuning.models import OPEN_IMPORT, UNREAD, DataFile, DataImportStatus, Tally, TallyStatus
from store.uploads.actions import check_filename
from store.uploads.links import upload_path
from store.uploads.models import Purpose, Upload, UploadStatus

PAGE_SIZE = 50
IMPORTS_SHOWN = timedelta(days=1)
MOST_IMPORTS = 10
BASES_OFFERED = 200


@dataclass(frozen=True, slots=True)
class FilePage:
    """A page of files; ``older`` is the cursor of the next one."""

    files: list[DataFile]
    older: int | None


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a histogram: ``count`` values are above ``above`` and up to ``upto``."""

    above: int
    upto: int
    count: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """``most`` is the highest count, which fills the whole width."""

    bars: list[Bar]
    most: int


@dataclass(frozen=True, slots=True)
class Counted:
    """A tally, and what one epoch costs in nano-dollars; None where the base has no price."""

    tally: Tally
    histogram: Histogram
    epoch_nano: int | None


def file_page(organization: Organization, *, before: int | None = None) -> FilePage:
    """The organization's files, the newest first."""
    rows = organization.data_files.kept()
    rows = rows.filter(pk__lt=before) if before else rows
    page = list(rows.order_by("-pk")[: PAGE_SIZE + 1])
    return FilePage(page[:PAGE_SIZE], page[PAGE_SIZE - 1].pk if len(page) > PAGE_SIZE else None)


def shown_page(
    organization: Organization, user: User, *, before: int | None = None, form: ImportForm | None = None
) -> dict[str, Any]:
    """The list, what is on its way into it, and the form that asks for more of another Hub."""
    shown: dict[str, Any] = {
        "page": file_page(organization, before=before), "is_older": before is not None, "storage": storage_use(organization),
        "may_change": may_publish(organization, user), "import_form": form or ImportForm(),
        "import_host": settings.IMPORT_ENDPOINT.removeprefix("https://").removeprefix("http://"),
    }  # fmt: skip
    return shown | shown_imports(organization)


def shown_imports(organization: Organization) -> dict[str, Any]:
    """Those that are under way, and what has failed within a day."""
    since = timezone.now() - IMPORTS_SHOWN
    recent = Q(status__in=OPEN_IMPORT) | Q(status=DataImportStatus.FAILED, ended_at__gt=since)
    rows = list(organization.data_imports.filter(recent).order_by("-pk")[:MOST_IMPORTS])
    return {"imports": rows, "is_importing": any(row.is_open for row in rows)}


def look(organization: Organization, arrivals: Sequence[Arrival]) -> list[dict[str, Any]]:
    """What can be said before a byte is sent; ``unfinished`` is an upload of the same file that waits for more."""
    waiting = Upload.objects.unfinished().filter(organization=organization, purpose=Purpose.DATA, part_size=None)
    begun = {
        (upload.path, upload.size): {"url": upload_path(upload), "sha256": upload.sha256}
        for upload in waiting.exclude(sha256="")
    }
    return [
        {"path": each.path, "problem": _problem(each), "convertible": False, "unfinished": begun.get((each.path, each.size))}
        for each in arrivals
    ]  # fmt: skip


def add_arrived(organization: Organization, user: User, said: dict[str, Any]) -> list[DataFile]:
    """Files of what has arrived, ``[{"path", "sha256"}]``. Raises InvalidRequest, NotFound, and what ``add_file`` raises."""
    named = said.get("files")
    if not isinstance(named, list) or not named or not all(isinstance(each, dict) for each in named):
        raise InvalidRequest(_("`files` is a list."), param="files")
    return [add_file(upload=_arrived(organization, each), user=user) for each in named]


def shown_report(file: DataFile) -> dict[str, Any]:
    """What was found in a file."""
    return {
        "file": file,
        "report": file.report,
        "is_unread": file.status in UNREAD,
        "characters": histogram_of(file.report.get("characters", [])),
        "more_faults": file.report.get("fault_count", 0) - len(file.report.get("faults", [])),
    }


def shown_tallies(file: DataFile) -> dict[str, Any]:
    """What was counted in a file, the newest first."""
    rows = list(file.tallies.select_related("release__listing__organization").order_by("-pk"))
    return {
        "file": file,
        "counted": [Counted(row, histogram_of(row.histogram), _epoch_nano(row)) for row in rows],
        "is_counting": any(row.status in (TallyStatus.QUEUED, TallyStatus.RUNNING) for row in rows),
    }


def histogram_of(pairs: Sequence[Sequence[int]]) -> Histogram:
    """Of ``[[up to, count], …]``, each twice as wide as the one before it."""
    bars = [Bar(upto // 2, upto, count) for upto, count in pairs]
    return Histogram(bars, max((bar.count for bar in bars), default=0) or 1)


def bases_for(user: User) -> QuerySet[Listing]:
    """The models whose tokens can be counted with."""
    seen = Listing.objects.visible_to(user).filter(status__in=CALLABLE, current_release__isnull=False)
    return seen.select_related("organization", "current_release").order_by("organization__slug", "slug")[:BASES_OFFERED]


def _problem(arrival: Arrival) -> str:
    try:
        check_filename(arrival.path)
    except StoreError as error:
        return error.message
    return size_problem(arrival) or ("" if arrival.size else _("%s is empty.") % arrival.path)


def _arrived(organization: Organization, named: dict[str, Any]) -> Upload:
    done = Upload.objects.filter(organization=organization, purpose=Purpose.DATA, status=UploadStatus.DONE)
    found = done.filter(sha256=str(named.get("sha256"))[:64], path=str(named.get("path"))[:255]).order_by("-created_at")
    upload = found.select_related("organization").first()
    if upload is None:
        raise NotFound(_("%s has not arrived. Send it again.") % str(named.get("path"))[:100])
    return upload


def _epoch_nano(tally: Tally) -> int | None:
    price = tally.release.listing.prices.current().first()
    return training_charge(price.training_nano, tally.tokens) if price and tally.status == TallyStatus.DONE else None
