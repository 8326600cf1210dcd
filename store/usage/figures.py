"""What was used, by time and by whom: from the buckets, so that a hundred million runs are as quick to show as ten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from django.utils.translation import gettext as _

from store.accounts.models import Organization, User
from store.catalog.models import Listing
from store.errors import InvalidRequest
from store.keys.models import ApiKey
from store.ledger.sql import execute, text_array
from store.reputation.histogram import added, quantile, unpacked
from store.reputation.periods import DAY, HOUR, hour_of
from store.usage.counting_sql import COUNTS

By = Literal["hour", "day"]
Group = Literal["listing", "key", "member", "kind"]
MAX_SPAN: Final[dict[By, timedelta]] = {"hour": timedelta(days=31), "day": timedelta(days=366)}
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Columns of buckets and slices. A slice's dimension has the name of its group.
COLUMNS: Final[dict[Group, str]] = {"listing": "listing_id", "key": "api_key_id", "member": "member_id", "kind": "kind"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Whose usage, of what, since when (included) until when (not). Whole hours of UTC; what is None is everything."""

    organization: Organization
    since: datetime
    until: datetime
    listing: Listing | None = None
    api_key: ApiKey | None = None
    member: User | None = None
    kind: str = ""

    def __post_init__(self) -> None:
        """Raises InvalidRequest."""
        if self.until <= self.since:
            raise InvalidRequest(_("The period must end after it begins."), param="until")
        if self.until - self.since > MAX_SPAN["day"]:
            raise InvalidRequest(_("A period has at most %d days.") % MAX_SPAN["day"].days, param="since")

    @property
    def begin(self) -> datetime:
        return hour_of(self.since)

    @property
    def end(self) -> datetime:
        """Rounded up to a whole hour."""
        return hour_of(self.until - timedelta(microseconds=1)) + HOUR

    @property
    def is_whole_days(self) -> bool:
        """Whether both ends are midnights of UTC."""
        return not ((self.begin - EPOCH) % DAY or (self.end - EPOCH) % DAY)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What a bucket comes to. Money in nano-dollars, times in milliseconds; ``input_tokens`` were not cached."""

    calls: int
    trainings: int
    failed: int  # of both
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    training_tokens: int
    charge_nano: int
    waits: Sequence[int] = ()  # histogram of the times to the first token; empty where it was not asked for

    @property
    def ttft_p50_ms(self) -> float | None:
        return quantile(self.waits, 0.5)

    @property
    def ttft_p95_ms(self) -> float | None:
        return quantile(self.waits, 0.95)

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.cached_tokens + self.output_tokens + self.training_tokens

    @property
    def failed_ppm(self) -> int:
        """Parts per million of what was called and trained."""
        all_of_them = self.calls + self.trainings
        return 1_000_000 * self.failed // all_of_them if all_of_them else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageRow:
    """``time``: the begin of its hour or day (UTC). ``group``: the id of a listing, key or member, or a kind; None where there is none."""

    time: datetime | None
    group: int | str | None
    figures: Figures


def totals(scope: Scope) -> Figures:
    """All of it together, without times; zeros where there was nothing."""
    return together(row.figures for row in _select(scope, with_waits=False))


def together(parts: Iterable[Figures]) -> Figures:
    """Their sum, histograms included."""
    known = list(parts)
    sums = {name: sum(getattr(part, name) for part in known) for name in COUNTS}
    return Figures(**sums, waits=added(part.waits for part in known if part.waits))


def by_time(scope: Scope, by: By, group: Group | None = None) -> list[UsageRow]:
    """Hours or days in which something was used, in order; with ``group``, each by that, too, and without times to the first token.

    Raises InvalidRequest where the period is too long for hours.
    """
    if scope.until - scope.since > MAX_SPAN[by]:
        raise InvalidRequest(_("By the hour, a period has at most %d days.") % MAX_SPAN["hour"].days, param="since")
    return _select(scope, time=_time(scope, by), group=group, when=_when(scope, by), with_waits=group is None)


def by_group(scope: Scope, group: Group) -> list[UsageRow]:
    """The listings, keys, members or kinds, what cost most first."""
    rows = _select(scope, group=group)
    return sorted(rows, key=lambda row: (-row.figures.charge_nano, -row.figures.calls, str(row.group)))


def _time(scope: Scope, by: By) -> str:
    """Of a bucket ``b`` the begin of its hour or day."""
    is_whole = by == "hour" or scope.is_whole_days
    return "b.starts_at" if is_whole else "date_trunc('day', b.starts_at, 'UTC')"


def _when(scope: Scope, by: By) -> tuple[str, Sequence[datetime]]:
    return (HOURS, [scope.begin, scope.end]) if by == "hour" else _whole_days(scope.begin, scope.end)


def _source(scope: Scope, group: Group | None) -> tuple[str, list[object]]:
    """``FROM`` and ``WHERE`` of the fewest rows that tell the scope's filters and the group apart: a slice, where that is one dimension
    at most, else the buckets. Both give the same sums."""
    wanted: dict[Group, object] = {
        "listing": scope.listing and scope.listing.pk, "key": scope.api_key and scope.api_key.pk,
        "member": scope.member and scope.member.pk, "kind": scope.kind or None,
    }  # fmt: skip
    chosen = {name: value for name, value in wanted.items() if value is not None}
    dimensions = {*chosen, *([group] if group else [])}
    if len(dimensions) > 1:
        source = "usage_usagebucket b WHERE true"
    else:
        source = f"usage_usageslice b WHERE b.dimension = '{''.join(dimensions) or 'none'}'"
    source += "".join(f" AND b.{COLUMNS[name]} = %s" for name in chosen)
    return f"{source} AND b.organization_id = %s", [*chosen.values(), scope.organization.pk]


def _select(
    scope: Scope,
    *,
    group: Group | None = None,
    time: str = "NULL::timestamptz",
    when: tuple[str, Sequence[datetime]] | None = None,
    with_waits: bool = True,
) -> list[UsageRow]:
    sums = ", ".join(f"sum(b.{name})::bigint" for name in COUNTS)
    period, moments = when or _whole_days(scope.begin, scope.end)
    source, values = _source(scope, group)
    column = f"b.{COLUMNS[group]}" if group else "NULL::bigint"
    rows = execute(
        f"""SELECT {time} AS t, {column} AS g, {"sum(b.first_token_ms)::text" if with_waits else "NULL"}, {sums}
            FROM {source} AND ({period}) GROUP BY 1, 2 ORDER BY 1, 2""",
        *values,
        *moments,
    )
    return [
        UsageRow(
            time=moment,
            group=named,
            figures=Figures(**dict(zip(COUNTS, counts, strict=True)), waits=unpacked(waits) if waits else ()),
        )
        for moment, named, waits, *counts in rows
    ]


def cost_by_time(
    scope: Scope, by: By, group: Group, ids: Sequence[int | str | None]
) -> dict[tuple[int, int | str | None], int]:
    """Nano-dollars by hour or day, as Unix seconds of its begin, and group, of these groups alone."""
    column, (period, moments), (source, values) = f"b.{COLUMNS[group]}", _when(scope, by), _source(scope, group)
    known = [str(one) for one in ids if one is not None]
    rows = execute(
        f"""SELECT extract(epoch FROM {_time(scope, by)})::bigint, {column}, sum(b.charge_nano)::bigint FROM {source} AND ({period})
              AND ({column} = ANY(%s::{"text" if group == "kind" else "bigint"}[]) OR %s AND {column} IS NULL) GROUP BY 1, 2""",
        *values,
        *moments,
        text_array(known),
        None in ids,
    )
    return {(seconds, named): cost for seconds, named, cost in rows}


HOURS: Final = "b.grain = 'hour' AND b.starts_at >= %s AND b.starts_at < %s"


def _whole_days(begin: datetime, end: datetime) -> tuple[str, Sequence[datetime]]:
    """Days as far as they are whole, and the hours on both sides: the fewest rows that make up any period."""
    first, last = -(-(begin - EPOCH) // DAY) * DAY + EPOCH, (end - EPOCH) // DAY * DAY + EPOCH
    if first >= last:
        return HOURS, [begin, end]
    days = "b.grain = 'day' AND b.starts_at >= %s AND b.starts_at < %s"
    parts, moments = [days], [first, last]
    for since, until in ((begin, first), (last, end)):
        if since < until:
            parts.append(HOURS)
            moments += [since, until]
    return " OR ".join(parts), moments
