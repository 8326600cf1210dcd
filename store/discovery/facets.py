"""What a search can be narrowed by: values as they are in a listing, and ranges of numbers cut into buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from store.catalog.categories import CATEGORIES
from store.catalog.models import Weights
from store.discovery.models import ListingIndex

ALL = "all"  # the facet, of one empty value, that counts every listing
DOLLAR = 1_000_000_000
MILLION, BILLION = 10**6, 10**9
WEIGHTS_LABELS = dict(Weights.choices)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Numbers from ``low`` up to but not including ``high``; None is without end."""

    slug: str
    label: Any
    low: float | None
    high: float | None

    def holds(self, number: float) -> bool:
        return (self.low is None or self.low <= number) and (self.high is None or number < self.high)

    def overlaps(self, low: float | None, high: float | None) -> bool:
        """Whether a number from ``low`` to ``high``, both included, can be in here."""
        begins = high is None or self.low is None or self.low <= high
        return begins and (low is None or self.high is None or low < self.high)


@dataclass(frozen=True, kw_only=True, slots=True)
class FacetKind:
    """``column`` is the number in ListingIndex that buckets and ranges are of. ``values`` are a listing's own."""

    name: str
    label: Any
    values: Callable[[ListingIndex], Iterable[str]]
    column: str = ""
    buckets: tuple[Bucket, ...] = ()

    def label_of(self, value: str) -> Any:
        """How a value is shown; what people wrote is shown as it is."""
        if self.name == "category":
            return CATEGORIES[value].label if value in CATEGORIES else value
        if self.name == "weights":
            return WEIGHTS_LABELS.get(value, value)
        return next((bucket.label for bucket in self.buckets if bucket.slug == value), value)


def bucketed(name: str, label: Any, column: str, *buckets: Bucket) -> FacetKind:
    """A facet of a number; a listing without that number has no value."""

    def values(row: ListingIndex) -> list[str]:
        number = getattr(row, column)
        return [] if number is None else [bucket.slug for bucket in buckets if bucket.holds(number)]

    return FacetKind(name=name, label=label, values=values, column=column, buckets=buckets)


FACETS: dict[str, FacetKind] = {
    kind.name: kind
    for kind in (
        FacetKind(name="category", label=_("Category"), values=lambda row: [row.category]),
        FacetKind(name="task", label=_("Task"), values=lambda row: [row.task]),
        FacetKind(name="language", label=_("Language"), values=lambda row: [code.lower() for code in row.languages]),
        FacetKind(name="licence", label=_("Licence"), values=lambda row: [row.licence]),
        FacetKind(name="weights", label=_("Files"), values=lambda row: [row.weights]),
        FacetKind(name="architecture", label=_("Architecture"), values=lambda row: [row.architecture]),
        bucketed(
            "size",
            _("Parameters"),
            "parameters",
            Bucket("under-100m", _("under 100 M"), None, 100 * MILLION),
            Bucket("100m-1b", _("100 M to 1 B"), 100 * MILLION, BILLION),
            Bucket("1b-3b", _("1 B to 3 B"), BILLION, 3 * BILLION),
            Bucket("3b-8b", _("3 B to 8 B"), 3 * BILLION, 8 * BILLION),
            Bucket("8b-30b", _("8 B to 30 B"), 8 * BILLION, 30 * BILLION),
            Bucket("over-30b", _("30 B and more"), 30 * BILLION, None),
        ),
        bucketed(
            "context",
            _("Context"),
            "context_length",
            Bucket("under-2k", _("under 2k tokens"), None, 2_000),
            Bucket("2k-8k", _("2k to 8k"), 2_000, 8_000),
            Bucket("8k-32k", _("8k to 32k"), 8_000, 32_000),
            Bucket("32k-128k", _("32k to 128k"), 32_000, 128_000),
            Bucket("over-128k", _("128k and more"), 128_000, None),
        ),
        bucketed(
            "price",
            _("Price per 1M tokens"),
            "price_nano",
            Bucket("free", _("free"), None, 1),
            Bucket("under-10c", _("under $0.10"), 1, DOLLAR // 10),
            Bucket("10c-50c", _("$0.10 to $0.50"), DOLLAR // 10, DOLLAR // 2),
            Bucket("50c-2usd", _("$0.50 to $2"), DOLLAR // 2, 2 * DOLLAR),
            Bucket("2usd-10usd", _("$2 to $10"), 2 * DOLLAR, 10 * DOLLAR),
            Bucket("over-10usd", _("$10 and more"), 10 * DOLLAR, None),
        ),
        bucketed(
            "speed",
            _("Measured speed"),
            "tokens_per_s_1",
            Bucket("under-10", _("under 10 tokens/s"), None, 10),
            Bucket("10-50", _("10 to 50"), 10, 50),
            Bucket("50-100", _("50 to 100"), 50, 100),
            Bucket("100-200", _("100 to 200"), 100, 200),
            Bucket("over-200", _("200 and more"), 200, None),
        ),
        bucketed(
            "perplexity",
            _("Measured perplexity"),
            "perplexity",
            Bucket("under-10", _("under 10"), None, 10),
            Bucket("10-20", _("10 to 20"), 10, 20),
            Bucket("20-40", _("20 to 40"), 20, 40),
            Bucket("over-40", _("40 and more"), 40, None),
        ),
        FacetKind(name="base", label=_("Made from"), values=lambda row: [row.base_name]),
        FacetKind(name="provider", label=_("Provider"), values=lambda row: [row.provider]),
        FacetKind(name="tag", label=_("Tag"), values=lambda row: [tag.casefold() for tag in row.tags]),
    )
}
RANGES = {name: kind.column for name, kind in FACETS.items() if kind.column}


def facets_of(row: ListingIndex) -> list[str]:
    """``facet:value`` for all that the listing is counted under, each once; white space as ``read_query`` leaves it."""
    own = (f"{kind.name}:{' '.join(value.split())}" for kind in FACETS.values() for value in kind.values(row) if value)
    return [f"{ALL}:", *dict.fromkeys(own)]
