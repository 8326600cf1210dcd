"""The days that a figure is about. Days are UTC's, as everywhere in the books."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.utils.translation import gettext_lazy as _

DAY: Final = timedelta(days=1)
PRESETS: Final = {
    "today": _("Today"),
    "7": _("7 days"),
    "30": _("30 days"),
    "90": _("90 days"),
    "month": _("This month"),
    "last_month": _("Last month"),
    "365": _("A year"),
}
USUAL: Final = "30"


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, from ``since`` up to but without ``until``."""

    since: date
    until: date

    @property
    def last(self) -> date:
        """Its last day."""
        return self.until - DAY

    @property
    def starts_at(self) -> datetime:
        return datetime.combine(self.since, time.min, tzinfo=UTC)

    @property
    def ends_at(self) -> datetime:
        """The first moment that is not in it."""
        return datetime.combine(self.until, time.min, tzinfo=UTC)

    @property
    def before(self) -> Period:
        """The time of the same length that ends where this one begins."""
        return Period(self.since - (self.until - self.since), self.since)

    def __str__(self) -> str:
        return f"{self.since} – {self.last}"


def preset(name: str, *, today: date) -> Period:
    """One of PRESETS; each ends with today, but for the last month."""
    month = today.replace(day=1)
    if name == "month":
        return Period(month, today + DAY)
    if name == "last_month":
        return Period((month - DAY).replace(day=1), month)
    days = 1 if name == "today" else int(name)
    return Period(today - (days - 1) * DAY, today + DAY)


def month_of(day: date) -> Period:
    """The calendar month of a day."""
    first = day.replace(day=1)
    return Period(first, (first + 32 * DAY).replace(day=1))
