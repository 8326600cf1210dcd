"""The time of a statement: whole days in UTC, or a month."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.utils.translation import gettext as _

from store.errors import InvalidRequest, NotFound
from store.reputation.periods import midnight

MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)
EARLIEST, LATEST = date(2000, 1, 1), date(2999, 12, 31)


@dataclass(frozen=True, slots=True)
class Period:
    """From the begin of ``first`` to the end of ``last``."""

    first: date
    last: date

    @property
    def since(self) -> datetime:
        return midnight(self.first)

    @property
    def until(self) -> datetime:
        """The first moment after it."""
        return midnight(self.last + timedelta(days=1))

    @property
    def name(self) -> str:
        """``2026-11`` for a month, ``2026-11-03_2026-11-09`` for anything else: fit for a file's name."""
        is_month = self.first.day == 1 and self == month_of(self.first)
        return f"{self.first:%Y-%m}" if is_month else f"{self.first}_{self.last}"


def month_of(day: date) -> Period:
    first = day.replace(day=1)
    return Period(first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))


def parse_month(text: str) -> Period:
    """``2026-11``. Raises NotFound."""
    found = MONTH.fullmatch(text)
    if not found or not EARLIEST.year <= int(found[1]) <= LATEST.year:
        raise NotFound(_("There is no such month."))
    return month_of(date(int(found[1]), int(found[2]), 1))


def between(first: date, last: date) -> Period:
    """Raises InvalidRequest where it ends before it begins."""
    if last < first:
        raise InvalidRequest(_("The last day is before the first."), param="last")
    if not (first >= EARLIEST and last <= LATEST):
        raise InvalidRequest(_("The days are between 2000 and 2999."), param="first")
    return Period(first, last)


def months_since(begin: datetime) -> list[Period]:
    """Every month from that of ``begin`` to the one that it is now, the newest first."""
    month, found = month_of(datetime.now(UTC).date()), []
    while month.last >= begin.astimezone(UTC).date():
        found.append(month)
        month = month_of(month.first - timedelta(days=1))
    return found


def parse_period(text: str) -> Period:
    """What ``Period.name`` says. Raises NotFound on anything else, InvalidRequest on days that are the wrong way round."""
    first, _bar, last = text.partition("_")
    if not last:
        return parse_month(first)
    try:
        return between(date.fromisoformat(first), date.fromisoformat(last))
    except ValueError as error:
        raise NotFound(_("There is no such time.")) from error
