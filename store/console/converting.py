"""Pickles of weights in the browser: what may be converted, on which base, and how far the newest conversion has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, QuerySet, Value, When
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from store.accounts.models import User
from store.catalog.models import Conversion, ConversionStatus, Listing, Release
from store.console.arrivals import Arrival, is_convertible, size_problem
from store.console.forms.publish import ConvertForm
from store.console.wizard import head_of
from store.errors import NotFound
from store.uploads.actions import cancel_upload
from store.uploads.conversions import UNDER_WAY, start_conversion
from store.uploads.links import upload_path
from store.uploads.models import RESERVING, Purpose, Upload, UploadQuerySet, UploadStatus

BASES_SHOWN = 200  # as suggestions; every other one can be written


@dataclass(frozen=True, slots=True)
class Converted:
    """The newest conversion of a listing. ``upload`` is its file as long as the store remembers it."""

    conversion: Conversion
    upload: Upload | None
    is_running: bool
    is_newest: bool  # main is as it left it

    @property
    def has_file(self) -> bool:
        """Another base can be tried without sending again."""
        return self.upload is not None and self.upload.status == UploadStatus.DONE

    @property
    def is_shown(self) -> bool:
        """Until somebody goes on from there, or throws the file away."""
        if self.conversion.status == ConversionStatus.SUCCEEDED:
            return self.is_newest
        return self.upload is None or self.upload.status != UploadStatus.CANCELLED


def newest_conversion(listing: Listing) -> Converted | None:
    """None where there is nothing to be shown."""
    conversion = listing.conversions.select_related("base__listing__organization").order_by("-id").first()
    if conversion is None:
        return None
    head = head_of(listing)
    found = Converted(
        conversion=conversion,
        upload=Upload.objects.filter(pk=conversion.upload_id).first(),
        is_running=conversion.status in UNDER_WAY,
        is_newest=head is not None and head.pk == conversion.commit_id,
    )
    return found if found.is_shown else None


def bases_for(listing: Listing, user: User) -> QuerySet[Listing]:
    """Models whose config can say what is in a file: full weights that the user can see, those of the listing's organization first."""
    found = Listing.objects.visible_to(user).filter(current_release__isnull=False, current_release__base=None)
    own = Case(When(organization=listing.organization_id, then=Value(0)), default=Value(1))
    return found.select_related("organization", "current_release").order_by(own, "organization__slug", "slug")


def base_named(listing: Listing, user: User, name: str) -> Release:
    """The current release of a base. Raises NotFound (``base``)."""
    base = bases_for(listing, user).filter(pk__in=Listing.objects.named(name.strip())).first()
    if base is None or base.current_release is None:
        raise NotFound(
            _("There is no model “%(name)s” with weights of its own that you can see.") % {"name": name[:200]},
            param="base",
        )
    return base.current_release


def converter(listing: Listing, user: User) -> dict[str, Any]:
    """What the pages need where a pickle may come: the form, its suggestions, and the newest conversion."""
    named = {"base": listing.base.name if listing.base else ""}
    return {
        "convert_form": ConvertForm(initial=named, auto_id="convert_%s"),
        "bases": bases_for(listing, user)[:BASES_SHOWN],
        **shown_conversion(listing),
    }


def shown_conversion(listing: Listing, retry_form: ConvertForm | None = None) -> dict[str, Any]:
    """What _conversion.html takes."""
    return {"converted": newest_conversion(listing), "retry_form": retry_form or retry_with()}


def retry_with(said: Any = None) -> ConvertForm:
    """The form beside a conversion that failed."""
    return ConvertForm(said, auto_id="retry_%s")


def look_to_convert(listing: Listing, arrivals: Sequence[Arrival]) -> list[dict[str, Any]]:
    """As ``arrivals.look``. ``unfinished`` may also have arrived whole: another base is tried without sending again."""
    sent = {(each.path, each.size): {"url": upload_path(each), "sha256": each.sha256} for each in _kept(listing)}
    return [
        {"path": each.path, "problem": _problem(each), "convertible": False, "unfinished": sent.get((each.path, each.size))}
        for each in arrivals
    ]  # fmt: skip


def convert(*, listing: Listing, user: User, sha256: str, base: str) -> Conversion:
    """Queues what has arrived. Raises NotFound (no such file or base) and what ``start_conversion`` raises."""
    return start_conversion(
        listing=listing, user=user, upload=_arrived(listing, sha256), base=base_named(listing, user, base)
    )


def discard(*, listing: Listing, sha256: str) -> None:
    """Throws the file of a conversion away, and gives its room back. Raises NotFound."""
    cancel_upload(upload=_arrived(listing, sha256))


def _arrived(listing: Listing, sha256: str) -> Upload:
    upload = _kept(listing).filter(status=UploadStatus.DONE, sha256=sha256).last()
    if upload is None:
        raise NotFound(_("The file is not there any more: send it again."))
    return upload


def _kept(listing: Listing) -> UploadQuerySet:
    """Pickles of the organization, the newest last; not those that are being converted for another of its models."""
    elsewhere = Conversion.objects.filter(status__in=UNDER_WAY).exclude(listing=listing)
    kept = Upload.objects.filter(RESERVING, organization=listing.organization_id, purpose=Purpose.CONVERSION)
    kept = kept.filter(part_size=None, expires_at__gt=Now()).exclude(sha256="")
    return kept.exclude(pk__in=elsewhere.values("upload_id")).order_by("created_at")


def _problem(arrival: Arrival) -> str:
    if not is_convertible(arrival.path):
        return _("Only weights in *.bin, *.pt and *.pth files are converted.")
    return size_problem(arrival)
