"""What is for sale: a listing, its standing, and who may see and download it."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization


class ListingStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    PUBLISHED = "published", _("Published")
    DEPRECATED = "deprecated", _("Deprecated")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    SUSPENDED = "suspended", _("Suspended")


CALLABLE = (ListingStatus.PUBLISHED, ListingStatus.DEPRECATED)


class Weights(models.TextChoices):
    """Who may download the files. Calling a model needs none of it."""

    CLOSED = "closed", _("Closed: called here, never downloaded")
    GATED = "gated", _("Gated: downloaded by those who asked and were let in")
    OPEN = "open", _("Open: downloaded by everybody")


class BaseRelation(models.TextChoices):
    """How a model was made from its base, in the words of the Hub's cards."""

    FINETUNE = "finetune", _("Fine-tune")
    ADAPTER = "adapter", _("Adapter")
    MERGE = "merge", _("Merge")
    QUANTIZED = "quantized", _("Quantized")


class ListingQuerySet(models.QuerySet["Listing"]):
    def named(self, name: str) -> ListingQuerySet:
        """The listing of a full name, ``acme/bard``."""
        organization, _slash, slug = name.partition("/")
        return self.filter(organization__slug=organization, slug=slug, deleted_at=None)

    def public(self) -> ListingQuerySet:
        return self.filter(status__in=CALLABLE, is_private=False, deleted_at=None)

    def visible_to(self, user: Any) -> ListingQuerySet:
        """Public listings, and those of the user's own organizations."""
        if not user.is_authenticated:
            return self.public()
        own = Organization.objects.visible_to(user)
        return self.filter(Q(status__in=CALLABLE, is_private=False) | Q(organization__in=own), deleted_at=None)


class Listing(models.Model):
    """A model in the store, ``organization/slug``. What is called is its ``current_release``."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="listings")
    slug = models.SlugField(_("name"), max_length=96)
    title = models.CharField(_("title"), max_length=150)
    summary = models.CharField(_("summary"), max_length=300, blank=True)
    licence = models.CharField(_("licence"), max_length=60, help_text=_("SPDX identifier"))
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    task = models.CharField(_("task"), max_length=40, default="text-generation")  # pipeline_tag of the card
    languages = ArrayField(models.CharField(max_length=12), default=list, blank=True)  # ISO 639 codes of the card
    category = models.SlugField(_("category"), max_length=40, blank=True)  # a key of store.catalog.categories
    base = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="derivatives")
    base_relation = models.CharField(max_length=10, choices=BaseRelation, blank=True)
    weights = models.CharField(_("weights"), max_length=6, choices=Weights, default=Weights.CLOSED)
    gate_questions = ArrayField(models.CharField(max_length=300), default=list, blank=True)
    gate_is_automatic = models.BooleanField(default=False)  # who answers the questions is let in at once
    gate_days = models.PositiveSmallIntegerField(null=True, blank=True)  # how long a grant lasts; null: for ever
    is_private = models.BooleanField(_("private"), default=False)
    status = models.CharField(max_length=12, choices=ListingStatus, default=ListingStatus.DRAFT)
    current_release = models.ForeignKey("Release", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    published_at = models.DateTimeField(null=True, blank=True, editable=False)
    deprecated_at = models.DateTimeField(null=True, blank=True, editable=False)
    shutdown_at = models.DateTimeField(null=True, blank=True)  # of a deprecated listing: it is withdrawn then
    status_reason = models.TextField(blank=True)  # why it is suspended, deprecated or withdrawn, for people
    # The name stays its organization's for ever; only they can bring it back to life.
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ListingQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "slug"], name="listing_name_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The full name that clients send as ``model``."""
        return f"{self.organization.slug}/{self.slug}"
