"""How a listing served its customers, as small charts with the words that say the same."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from store.catalog.models import Listing
from store.console.figures import grouped, share_of_all, short_number
from store.console.sparkline import sparkline, strip
from store.reputation.service import ServiceFigures, service_of

PERIODS = (("day", gettext_lazy("24 hours"), 1), ("month", gettext_lazy("30 days"), 30))  # id, label, days


class Figure(NamedTuple):
    """A number of a period, and how it went."""

    label: str
    value: str
    detail: str
    chart: SafeString


class Period(NamedTuple):
    id: str
    label: str | Promise
    calls: int
    figures: list[Figure]


def service_periods(listing: Listing) -> list[Period]:
    """The last day by the hour, and the last 30 days by the day."""
    asked = ((name, label, service_of(listing, days)) for name, label, days in PERIODS)
    return [Period(name, label, found.whole.calls, _figures(found, str(label))) for name, label, found in asked]


def _figures(found: ServiceFigures, period: str) -> list[Figure]:
    whole, series = found.whole, found.series
    calls = ngettext("%(number)s call", "%(number)s calls", whole.calls) % {"number": grouped(whole.calls)}
    slowest = _("%(ms)s ms for the slowest 5%%") % {"ms": _words(whole.ttft_p95_ms)}
    return [
        Figure(
            _("Uptime"),
            "–" if whole.uptime is None else share_of_all(whole.uptime),
            calls,
            strip([each.uptime for each in series], label=_("Uptime over %(period)s") % {"period": period}),
        ),
        Figure(
            _("Time to first token"),
            f"{_words(whole.ttft_p50_ms)} ms",
            slowest if whole.ttft_p95_ms is not None else "",
            sparkline(
                [each.ttft_p50_ms for each in series],
                label=_("Time to first token over %(period)s") % {"period": period},
            ),
        ),
        Figure(
            _("Tokens per second"),
            _words(whole.tokens_per_s),
            _("median of calls"),
            sparkline(
                [each.tokens_per_s for each in series],
                label=_("Tokens per second over %(period)s") % {"period": period},
            ),
        ),
    ]


def _words(number: float | None) -> str:
    return "–" if number is None else short_number(number)
