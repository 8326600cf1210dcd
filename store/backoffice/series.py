"""Money by day, or by month where the days would be too many to see."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.utils.translation import gettext as _

from store.backoffice.figures import Figure, Move, payments, sales
from store.backoffice.period import DAY, Period, month_of

MOST_DAYS: Final = 92
NANO_PER_CENT: Final = 10_000_000
COLOURS: Final = (
    "var(--color-primary-600)",
    "var(--color-primary-300)",
    "var(--color-base-400)",
    "var(--color-base-700)",
)


@dataclass(frozen=True, slots=True)
class Part:
    """A day or a month of the period, with its figures."""

    period: Period
    label: str
    figures: list[Figure]


@dataclass(frozen=True, slots=True)
class Chart:
    """``data`` is what unfold's chart component draws: JSON, dollars to the cent. ``parts`` are its figures in full, newest first."""

    title: str
    data: str
    names: list[Any]
    parts: list[Part]


def charts(moved: list[Move], period: Period, money: str) -> list[Chart]:
    """What was sold, and what came in and went back."""
    is_monthly = (period.until - period.since).days > MOST_DAYS
    parts = _months(period) if is_monthly else _days(period)
    by_part: dict[date, list[Move]] = {part.since: [] for part in parts}
    starts = {part.since.replace(day=1): part.since for part in parts}
    for move in moved:
        by_part[starts[move.day.replace(day=1)] if is_monthly else move.day].append(move)
    style = "%Y-%m" if is_monthly else "%m-%d"
    sold = [Part(part, part.since.strftime(style), sales(by_part[part.since], part)) for part in parts]
    paid = [Part(part, part.since.strftime(style), payments(by_part[part.since], part, money)[:4]) for part in parts]
    return [_chart(_("What was sold"), sold), _chart(_("What came in and went back"), paid)]


def _days(period: Period) -> list[Period]:
    days = (period.until - period.since).days
    return [Period(period.since + n * DAY, period.since + (n + 1) * DAY) for n in range(days)]


def _months(period: Period) -> list[Period]:
    """The first and the last are cut to the period."""
    parts = []
    since = period.since
    while since < period.until:
        until = min(month_of(since).until, period.until)
        parts.append(Period(since, until))
        since = until
    return parts


def _chart(title: str, parts: list[Part]) -> Chart:
    names = [figure.name for figure in parts[0].figures] if parts else []
    data = {
        "labels": [part.label for part in parts],
        "datasets": [
            {
                "label": str(name),
                "data": [(part.figures[place].nano or 0) // NANO_PER_CENT / 100 for part in parts],
                "backgroundColor": COLOURS[place],
                "displayYAxis": place == 0,
                "suffixYAxis": "$",
                "maxTicksXLimit": 10,
            }
            for place, name in enumerate(names)
        ],
    }
    return Chart(title, json.dumps(data), names, parts[::-1])
