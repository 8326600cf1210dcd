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
    return together(row.figures for row in _select(scope, group="NULL::bigint", with_waits=False))


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
    column = COLUMNS[group] if group else "NULL::bigint"
    return _select(scope, time=_time(scope, by), group=column, when=_when(scope, by), with_waits=group is None)


def by_group(scope: Scope, group: Group) -> list[UsageRow]:
    """The listings, keys, members or kinds, what cost most first."""
    rows = _select(scope, group=COLUMNS[group])
    return sorted(rows, key=lambda row: (-row.figures.charge_nano, -row.figures.calls, str(row.group)))


def _time(scope: Scope, by: By) -> str:
    """Of a bucket ``b`` the begin of its hour or day."""
    is_whole = by == "hour" or scope.is_whole_days
    return "b.starts_at" if is_whole else "date_trunc('day', b.starts_at, 'UTC')"


def _when(scope: Scope, by: By) -> tuple[str, Sequence[datetime]]:
    return (HOURS, [scope.begin, scope.end]) if by == "hour" else _whole_days(scope.begin, scope.end)


def _filters(scope: Scope) -> tuple[str, list[object]]:
    wanted = {
        "b.listing_id": scope.listing and scope.listing.pk, "b.api_key_id": scope.api_key and scope.api_key.pk,
        "b.member_id": scope.member and scope.member.pk, "b.kind": scope.kind or None,
    }  # fmt: skip
    chosen = {column: value for column, value in wanted.items() if value is not None}
    return "".join(f" AND {column} = %s" for column in chosen), list(chosen.values())


def _select(
    scope: Scope,
    *,
    group: str,
    time: str = "NULL::timestamptz",
    when: tuple[str, Sequence[datetime]] | None = None,
    with_waits: bool = True,
) -> list[UsageRow]:
    sums = ", ".join(f"sum(b.{name})::bigint" for name in COUNTS)
    period, moments = when or _whole_days(scope.begin, scope.end)
    filters, values = _filters(scope)
    rows = execute(
        f"""SELECT {time} AS t, {group} AS g, {"sum(b.first_token_ms)" if with_waits else "NULL"}, {sums}
            FROM usage_usagebucket b
            WHERE b.organization_id = %s AND ({period}){filters} GROUP BY 1, 2 ORDER BY 1, 2""",
        scope.organization.pk,
        *moments,
        *values,
    )
    return [
        UsageRow(
            time=moment,
            group=named,
            figures=Figures(
                **dict(zip(COUNTS, counts, strict=True)), waits=() if waits is None else unpacked(int(waits))
            ),
        )
        for moment, named, waits, *counts in rows
    ]


def cost_by_time(
    scope: Scope, by: By, group: Group, ids: Sequence[int | str | None]
) -> dict[tuple[datetime, int | str | None], int]:
    """Nano-dollars by hour or day and group, of these groups alone."""
    column, (period, moments), (filters, values) = COLUMNS[group], _when(scope, by), _filters(scope)
    known = text_array([str(one) for one in ids if one is not None])
    rows = execute(
        f"""SELECT {_time(scope, by)}, {column}, sum(b.charge_nano)::bigint FROM usage_usagebucket b
            WHERE b.organization_id = %s AND ({period}){filters}
              AND ({column}::text = ANY(%s::text[]) OR %s AND {column} IS NULL) GROUP BY 1, 2""",
        scope.organization.pk,
        *moments,
        *values,
        known,
        None in ids,
    )
    return {(moment, named): cost for moment, named, cost in rows}


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
