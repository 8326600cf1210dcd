"""What an organization used, as the usage page shows it: totals and what they were before, charts, and a table whose rows lead to runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from store.accounts.models import Organization, User
from store.catalog.models import Listing
from store.console.forms.usage import WRITTEN, UsageFilter
from store.console.spans import SpanOfTime, span_of_time
from store.keys.models import ApiKey
from store.reputation.periods import DAY, HOUR
from store.usage.counting_sql import COUNTS
from store.usage.figures import By, Figures, Group, Scope, UsageRow, by_group, by_time, cost_by_time, together, totals
from store.usage.models import Kind

LINES = 4  # of a chart by group: what cost most; the rest is one more
TABLE_ROWS = 200
TIME_ROWS = 50  # hours or days in a page of their table
STEP = {"hour": HOUR, "day": DAY}
PARAMS: dict[Group, str] = {"listing": "model", "key": "key", "member": "member", "kind": "kind"}


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table. ``runs`` is the address of the list of its runs; empty where it has none."""

    label: str
    figures: Figures
    runs: str
    share_ppm: int  # of the cost


@dataclass(frozen=True, slots=True)
class ClassLine:
    """A class of tokens."""

    label: str
    tokens: int
    share_ppm: int


@dataclass(frozen=True, slots=True)
class Consumption:
    """All that the page shows. ``changes``: of each total, in words, against the period before. ``times`` are a page of ``moments`` hours or
    days, newest first; ``older`` is where the next page begins, None on the last."""

    scope: Scope
    span: SpanOfTime
    group: str
    sums: Figures
    before: Figures
    changes: dict[str, str]
    charts: dict[str, dict[str, Any]]
    moments: int
    times: list[Line]
    older: str | None
    groups: list[Line]
    classes: list[ClassLine]
    more: int  # groups that the table leaves out
    runs: str
    failed_runs: str


def consumption(
    organization: Organization, form: UsageFilter, *, older_than: datetime | None = None, now: datetime | None = None
) -> Consumption:
    """Of what the form makes sense of. Raises nothing: what makes no sense is left out. ``older_than``: the page of the table of times."""
    said = form.chosen() if form.is_bound else {}
    span = span_of_time(said, now=now)
    scope = scope_of(organization, said, span)
    group: str = said.get("group") or "listing"
    dimension: Group = group if group in PARAMS else "listing"
    rows, groups = by_time(scope, span.by), by_group(scope, dimension)
    names = names_of(dimension, [row.group for row in groups])
    sums, before = together(row.figures for row in rows), totals(_before(scope, span))
    newest_first = [row for row in reversed(rows) if older_than is None or (row.time and row.time < older_than)]
    times = newest_first[:TIME_ROWS]
    return Consumption(
        scope=scope, span=span, group=group, sums=sums, before=before, changes=_changes(sums, before),
        charts=_charts(scope, span.by, rows, groups, dimension, names),
        moments=len(rows), times=[_time_line(scope, said, span.by, row, sums) for row in times],
        older=f"{times[-1].time:{WRITTEN}}" if len(newest_first) > TIME_ROWS else None,
        groups=[_group_line(scope, said, dimension, row, names, sums) for row in groups[:TABLE_ROWS]],
        classes=_classes(sums), more=max(len(groups) - TABLE_ROWS, 0),
        runs=_runs(said, scope.since, scope.until), failed_runs=_runs({**said, "status": "failed"}, scope.since, scope.until),
    )  # fmt: skip


def scope_of(organization: Organization, said: dict[str, Any], span: SpanOfTime) -> Scope:
    """The filters that were chosen, in this span."""
    return Scope(
        organization=organization, since=span.since, until=span.until, listing=said.get("model"), api_key=said.get("key"),
        member=said.get("member"), kind=said.get("kind", ""),
    )  # fmt: skip


def names_of(group: Group, ids: Sequence[int | str | None]) -> dict[int | str | None, str]:
    """What the ids of a group are called; None is what belongs to nothing."""
    known = [pk for pk in ids if pk is not None]
    match group:
        case "listing":
            listings = Listing.objects.filter(pk__in=known).select_related("organization")
            return {None: _("from nothing"), **{each.pk: each.name for each in listings}}
        case "key":
            keys = ApiKey.objects.filter(pk__in=known)
            return {None: _("without a key"), **{each.pk: f"{each.name} ({each.prefix}…)" for each in keys}}
        case "member":
            return {None: "–", **dict(User.objects.filter(pk__in=known).values_list("pk", "email"))}
    return {kind.value: str(kind.label) for kind in Kind}


def _before(scope: Scope, span: SpanOfTime) -> Scope:
    return replace(scope, since=span.previous_since, until=max(span.previous_until, span.previous_since + HOUR))


def _changes(sums: Figures, before: Figures) -> dict[str, str]:
    return {name: change(getattr(sums, name), getattr(before, name)) for name in (*COUNTS, "tokens")}


def change(now: int, then: int) -> str:
    """``+25%``, ``−8%``, ``±0%``; that there was nothing before; nothing where there is nothing now, either."""
    if not then:
        return _("nothing before") if now else ""
    percent = (200 * (now - then) + then) // (2 * then)  # rounded to the nearest
    return f"+{percent:,}%" if percent > 0 else f"−{-percent:,}%" if percent < 0 else "±0%"


def _share(part: int, whole: int) -> int:
    return 1_000_000 * part // whole if whole else 0


def _classes(sums: Figures) -> list[ClassLine]:
    classes = (
        (_("Input"), sums.input_tokens), (_("Cached input"), sums.cached_tokens), (_("Output"), sums.output_tokens),
        (_("Training"), sums.training_tokens),
    )  # fmt: skip
    return [ClassLine(label, tokens, _share(tokens, sums.tokens)) for label, tokens in classes if tokens]


def _group_line(
    scope: Scope, said: dict[str, Any], group: Group, row: UsageRow, names: dict[int | str | None, str], sums: Figures
) -> Line:
    has_runs = row.figures.calls > 0 and row.group is not None
    address = _runs({**said, PARAMS[group]: row.group}, scope.since, scope.until) if has_runs else ""
    share = _share(row.figures.charge_nano, sums.charge_nano)
    return Line(names.get(row.group) or str(row.group), row.figures, address, share)


def _time_line(scope: Scope, said: dict[str, Any], by: By, row: UsageRow, sums: Figures) -> Line:
    assert row.time
    label = f"{row.time:%Y-%m-%d %H:%M}" if by == "hour" else f"{row.time:%Y-%m-%d}"
    address = _runs(said, row.time, row.time + STEP[by]) if row.figures.calls else ""
    return Line(label, row.figures, address, _share(row.figures.charge_nano, sums.charge_nano))


def _runs(said: dict[str, Any], since: datetime, until: datetime) -> str:
    """The list of the runs that a figure counts. Runs that are open are in the list, and in no figure yet."""
    chosen = {name: getattr(said[name], "pk", said[name]) for name in (*PARAMS.values(), "status") if said.get(name)}
    query = {**chosen, "since": since.strftime(WRITTEN), "until": until.strftime(WRITTEN)}
    return f"{reverse('console:runs')}?{urlencode(query)}"


def _charts(
    scope: Scope,
    by: By,
    rows: Sequence[UsageRow],
    groups: Sequence[UsageRow],
    group: Group,
    names: dict[int | str | None, str],
) -> dict[str, dict[str, Any]]:
    moments = [scope.since + STEP[by] * index for index in range((scope.until - scope.since) // STEP[by])]
    found = {row.time: row.figures for row in rows}

    def series(label: str, unit: str, kind: str, name: str, nothing: int | None = 0) -> dict[str, Any]:
        """A moment without use has ``nothing``: zero calls, but no latency."""
        values = [getattr(found[moment], name) if moment in found else nothing for moment in moments]
        return {"label": label, "unit": unit, "kind": kind, "values": values}

    def chart(*drawn: dict[str, Any]) -> dict[str, Any]:
        return {"times": [int(moment.timestamp()) for moment in moments], "series": list(drawn)}

    tokens = [
        series(label, "tokens", "line", name)
        for label, name in (
            (_("Input"), "input_tokens"), (_("Cached input"), "cached_tokens"), (_("Output"), "output_tokens"),
            (_("Training"), "training_tokens"),
        )
        if any(getattr(figures, name) for figures in found.values())
    ]  # fmt: skip
    return {
        "main": chart(series(_("Calls"), "tokens", "bars", "calls"), series(_("Cost"), "nano", "line", "charge_nano")),
        "groups": chart(*_group_series(scope, by, moments, rows, groups, group, names)),
        "tokens": chart(*tokens),
        "latency": chart(
            series(_("First token, median"), "ms", "line", "ttft_p50_ms", None),
            series(_("First token, 95th percentile"), "ms", "line", "ttft_p95_ms", None),
        ),
        "failed": chart(series(_("Failed"), "tokens", "bars", "failed")),
    }


def _group_series(
    scope: Scope, by: By, moments: Sequence[datetime], rows: Sequence[UsageRow], groups: Sequence[UsageRow], group: Group,
    names: dict[int | str | None, str],
) -> list[dict[str, Any]]:  # fmt: skip
    """The cost of the LINES groups that cost most, and of all others together."""
    shown = [row.group for row in groups[:LINES] if row.figures.charge_nano]
    costs = cost_by_time(scope, by, group, shown)
    seconds = [int(moment.timestamp()) for moment in moments]
    lines = [(names.get(each) or str(each), [costs.get((second, each), 0) for second in seconds]) for each in shown]
    totals_of = {row.time: row.figures.charge_nano for row in rows}
    others = [
        totals_of.get(moment, 0) - sum(values[place] for _label, values in lines)
        for place, moment in enumerate(moments)
    ]
    if any(others):
        lines.append((_("All others"), others))
    return [{"label": label, "unit": "nano", "kind": "line", "values": values} for label, values in lines]
