"""What is for sale: listings, their immutable releases, the files of those by content, prices over time."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User


class ListingStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    PUBLISHED = "published", _("Published")
    DEPRECATED = "deprecated", _("Deprecated")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    SUSPENDED = "suspended", _("Suspended")


CALLABLE = (ListingStatus.PUBLISHED, ListingStatus.DEPRECATED)


class ListingQuerySet(models.QuerySet["Listing"]):
    def named(self, name: str) -> ListingQuerySet:
        """The listing of a full name, ``acme/bard``."""
        organization, _slash, slug = name.partition("/")
        return self.filter(organization__slug=organization, slug=slug)

    def public(self) -> ListingQuerySet:
        return self.filter(status__in=CALLABLE, is_private=False)

    def visible_to(self, user: Any) -> ListingQuerySet:
        """Public listings, and those of the user's own organizations."""
        if not user.is_authenticated:
            return self.public()
        own = Organization.objects.visible_to(user)
        return self.filter(Q(status__in=CALLABLE, is_private=False) | Q(organization__in=own))


class Listing(models.Model):
    """A model in the store, ``organization/slug``. What is called is its ``current_release``."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="listings")
    slug = models.SlugField(_("name"), max_length=96)
    title = models.CharField(_("title"), max_length=150)
    summary = models.CharField(_("summary"), max_length=300, blank=True)
    licence = models.CharField(_("licence"), max_length=60, help_text=_("SPDX identifier"))
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    is_private = models.BooleanField(_("private"), default=False)
    status = models.CharField(max_length=12, choices=ListingStatus, default=ListingStatus.DRAFT)
    current_release = models.ForeignKey("Release", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    published_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ListingQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "slug"], name="listing_name_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The full name that clients send as ``model``."""
        return f"{self.organization.slug}/{self.slug}"


class Blob(models.Model):
    """The bytes of a file, stored once however many releases hold it. Its storage name is its sha256."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$", size__gte=0), name="blob_sane")
        ]

    def __str__(self) -> str:
        return self.sha256

    @property
    def storage_name(self) -> str:
        return f"blobs/{self.sha256[:2]}/{self.sha256}"


class Release(models.Model):
    """A version of a listing: a fixed set of files. Nothing of it ever changes (a trigger refuses)."""

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="releases")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=71, db_index=True)  # "sha256:<64 hex>", see inference.manifest.release_digest
    size = models.BigIntegerField()  # bytes of all files
    architecture = models.CharField(max_length=60)  # "GPT2LMHeadModel"
    parameters = models.BigIntegerField()
    context_length = models.PositiveIntegerField()  # tokens
    vocab_size = models.PositiveIntegerField()
    card = models.TextField(blank=True)  # README.md without its front matter
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["listing", "number"], name="release_number_once"),
            models.CheckConstraint(condition=Q(digest__regex=r"^sha256:[0-9a-f]{64}$"), name="release_digest_sane"),
        ]

    def __str__(self) -> str:
        return f"{self.listing_id}@{self.number}"


class ReleaseFile(models.Model):
    """A file of a release at its path."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="files")
    path = models.CharField(max_length=400)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["release", "path"], name="release_path_once")]

    def __str__(self) -> str:
        return self.path


class PriceQuerySet(models.QuerySet["Price"]):
    def current(self) -> PriceQuerySet:
        """Prices that have started, newest first: the first of a listing is the one in force."""
        return self.filter(starts_at__lte=Now()).order_by("-starts_at", "-id")


class Price(models.Model):
    """What a listing costs from ``starts_at`` on, in nano-dollars per million tokens of a class, and per request."""

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="prices")
    input_nano = models.BigIntegerField(_("input"))
    cached_input_nano = models.BigIntegerField(_("cached input"))
    output_nano = models.BigIntegerField(_("output"))
    request_nano = models.BigIntegerField(_("per request"), default=0)
    starts_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = PriceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(input_nano__gte=0, output_nano__gte=0, request_nano__gte=0, cached_input_nano__gte=0)
                & Q(cached_input_nano__lte=F("input_nano")),
                name="price_sane",
            )
        ]
        indexes = [models.Index(fields=["listing", "-starts_at"], name="price_current")]

    def __str__(self) -> str:
        return f"{self.listing_id} from {self.starts_at}"
