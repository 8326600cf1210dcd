"""What search reads: one row for each public listing with all that a result shows, and the tables that keep those rows fresh.

Nothing here is a truth of its own: every row can be made again from the catalog (``actions.refresh``) and from ``Standing``.

How a row gets here, and goes: triggers (``migrations/0002_laws.py``) on the catalog's tables write a ``Change`` in the very
transaction that changes a listing, its price or its measurements; a listing that is not public any more loses its row in that
transaction, so nothing private is found for even a moment. The catalog stands to the left of this app and must not know it, and
triggers also see what a person changes in the admin: no verb can forget to say so.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.functions import Now

from store.accounts.models import Organization
from store.catalog.models import Listing


class ListingIndex(models.Model):
    """A public listing as search sees it: no join is needed to find it or to show it.

    ``keys`` holds everything a query can ask for as lexemes of one inverted index (``store.discovery.keys``), so that words, facets
    and rank intersect inside the index; ``tiered`` the same for each tier that the listing is in, without its card. ``heading`` has the
    words of name, title, summary and tags with weights, for the rank.
    """

    listing = models.OneToOneField(Listing, primary_key=True, on_delete=models.CASCADE, related_name="found_as")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=140)  # "acme/bard"
    slug = models.CharField(max_length=96)
    provider = models.CharField(max_length=40)  # the organization's slug
    provider_name = models.CharField(max_length=150)
    title = models.CharField(max_length=150)
    summary = models.CharField(max_length=300, blank=True)
    status = models.CharField(max_length=12)  # published or deprecated
    licence = models.CharField(max_length=60)
    tags = ArrayField(models.CharField(max_length=40), default=list)
    languages = ArrayField(models.CharField(max_length=12), default=list)
    task = models.CharField(max_length=40)
    category = models.CharField(max_length=40, blank=True)
    weights = models.CharField(max_length=6)
    architecture = models.CharField(max_length=60)
    base_id = models.BigIntegerField(null=True)  # the listing that it was made from, if that is public
    base_name = models.CharField(max_length=140, blank=True)
    base_relation = models.CharField(max_length=10, blank=True)
    parameters = models.BigIntegerField()
    size = models.BigIntegerField()  # bytes
    context_length = models.BigIntegerField()  # tokens
    input_nano = models.BigIntegerField(null=True)  # the price in force, per million tokens; null: there is none
    cached_input_nano = models.BigIntegerField(null=True)
    output_nano = models.BigIntegerField(null=True)
    request_nano = models.BigIntegerField(null=True)  # per request
    price_nano = models.BigIntegerField(null=True)  # of a million tokens of typical use: see keys.typical_price
    perplexity = models.FloatField(null=True)
    ttft_ms = models.FloatField(null=True)
    tokens_per_s_1 = models.FloatField(null=True)
    tokens_per_s_8 = models.FloatField(null=True)
    tokens_per_s_32 = models.FloatField(null=True)
    hardware = models.CharField(max_length=120, blank=True)
    rating = models.FloatField(default=0)  # Bayesian mean of 1 to 5 stars
    rating_count = models.PositiveIntegerField(default=0)
    trending = models.FloatField(default=0)
    uptime = models.FloatField(null=True)  # 0 to 1, of the last 30 days; null: never called
    calls_30d = models.BigIntegerField(default=0)
    quality = models.FloatField(default=0)  # what decides between equal matches: see keys.quality
    published_at = models.DateTimeField()
    refreshed_at = models.DateTimeField(db_default=Now())
    stale_at = models.DateTimeField(null=True)  # when a scheduled price starts
    facets = ArrayField(models.TextField(), default=list)  # "task:text-generation", what is counted
    keys = SearchVectorField()
    tiered = SearchVectorField(null=True)  # null: in no tier
    heading = SearchVectorField()

    class Meta:
        indexes = [
            # Without fastupdate, or every search would first read through the list of pending entries.
            GinIndex(fields=["keys"], name="found_by_keys", fastupdate=False),
            GinIndex(
                fields=["tiered"],
                condition=models.Q(tiered__isnull=False),
                name="found_in_tiers",
                fastupdate=False,
            ),
            # For ranges that are so narrow that few listings are within.
            models.Index(fields=["parameters"], name="found_by_parameters"),
            models.Index(fields=["context_length"], name="found_by_context"),
            models.Index(fields=["price_nano"], name="found_by_price"),
            models.Index(fields=["tokens_per_s_1"], name="found_by_speed"),
            models.Index(fields=["perplexity"], name="found_by_perplexity"),
            models.Index(fields=["stale_at"], condition=models.Q(stale_at__isnull=False), name="found_stale"),
        ]

    def __str__(self) -> str:
        return self.name


class Standing(models.Model):
    """What use and customers say of a listing, written by ``store.reputation``. It outlives the listing's row in the index."""

    listing = models.OneToOneField(Listing, primary_key=True, on_delete=models.CASCADE, related_name="standing")
    rating = models.FloatField(default=0)  # Bayesian mean; 0 without a review
    rating_count = models.PositiveIntegerField(default=0)
    trending = models.FloatField(default=0)
    uptime = models.FloatField(null=True)
    calls_30d = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.listing_id}: {self.rating} of {self.rating_count}"


class Change(models.Model):
    """A listing's row is to be made again. Rows are only ever added, by triggers, and deleted by who has done it.

    There may be many for one listing: a single row that is updated could be taken away by a refresh that has not seen the newest change.
    """

    listing_id = models.BigIntegerField(db_index=True)
    is_urgent = models.BooleanField(default=True)  # a search does it first; what is not urgent waits for the clock

    class Meta:
        indexes = [models.Index(fields=["id"], condition=models.Q(is_urgent=True), name="change_urgent")]

    def __str__(self) -> str:
        return f"{self.listing_id} has changed"


class FacetCount(models.Model):
    """How many public listings have a value of a facet; ("all", "") counts all of them."""

    facet = models.CharField(max_length=20)
    value = models.CharField(max_length=150)
    listings = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["facet", "value"], name="facet_count_once")]
        indexes = [models.Index(fields=["facet", "-listings", "value"], name="facet_top")]

    def __str__(self) -> str:
        return f"{self.facet}:{self.value}: {self.listings}"


class FacetDelta(models.Model):
    """A change of a FacetCount, written by the trigger on ListingIndex and folded in later: nobody waits for a common value's row."""

    facet = models.CharField(max_length=20)
    value = models.CharField(max_length=150)
    delta = models.SmallIntegerField()

    def __str__(self) -> str:
        return f"{self.facet}:{self.value}: {self.delta:+}"


class Word(models.Model):
    """A word of a name, title or tag: what a mistyped or unfinished word of a query may have meant."""

    word = models.CharField(max_length=60, primary_key=True)
    near = ArrayField(models.TextField())  # see terms.near_forms

    class Meta:
        indexes = [
            GinIndex(fields=["near"], name="word_near", fastupdate=False),
            GinIndex(fields=["word"], opclasses=["gin_trgm_ops"], name="word_trigrams", fastupdate=False),
            models.Index(fields=["word"], opclasses=["text_pattern_ops"], name="word_prefixes"),
        ]

    def __str__(self) -> str:
        return self.word


class Tier(models.Model):
    """The best listings of a sort: all whose (value, quality) is above the threshold have the keys of this tier.

    A query that matches half of the store is answered from the smallest tier with enough matches. Its answer is exact, for the best
    of a tier are the best of all. Small stores have none.
    """

    sort = models.CharField(max_length=12)
    level = models.PositiveSmallIntegerField()  # 0 is the smallest
    threshold = models.FloatField()
    threshold_quality = models.FloatField()
    is_ready = models.BooleanField(default=False)  # every row above the threshold has its keys
    made_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.sort} {self.level}"
