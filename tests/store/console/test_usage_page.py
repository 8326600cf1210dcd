"""The usage page: figures by time and by whom, compared, downloaded, and each leading to its runs."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from pyarrow import parquet

from store.accounts.models import User
from store.console.consumption import TIME_ROWS, change, consumption
from store.console.forms.usage import UsageFilter
from store.console.spans import UsageSpan, span_of_time
from store.reputation.periods import DAY, HOUR
from store.runs.models import RunStatus
from store.usage.rollup import rebuild, roll_up
from tests.store.console.conftest import MakeRun
from tests.store.reputation.conftest import RunMaker, past_run

__all__ = ["past_run"]
NOW = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 5, tzinfo=UTC)
DESCRIBED = (
    ({}, UsageSpan.MONTH, MIDNIGHT - 30 * DAY, MIDNIGHT, "day"),
    ({"span": "24h"}, UsageSpan.DAY, NOW.replace(minute=0) - 23 * HOUR, NOW.replace(minute=0) + HOUR, "hour"),
    ({"span": "7d", "by": "hour"}, UsageSpan.WEEK, MIDNIGHT - 7 * DAY, MIDNIGHT, "hour"),
    ({"span": "month"}, UsageSpan.THIS_MONTH, datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC), "day"),
    ({"span": "last_month"}, UsageSpan.LAST_MONTH, datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC), "day"),
    ({"span": "365d", "by": "hour"}, UsageSpan.YEAR, MIDNIGHT - 365 * DAY, MIDNIGHT, "day"),
    ({"since": date(2026, 3, 1), "until": date(2026, 3, 2)}, UsageSpan.CUSTOM, datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC), "hour"),
    ({"since": date(2026, 3, 1)}, UsageSpan.CUSTOM, datetime(2026, 3, 1, tzinfo=UTC), MIDNIGHT, "day"),
    ({"span": "custom"}, UsageSpan.MONTH, MIDNIGHT - 30 * DAY, MIDNIGHT, "day"),
)  # fmt: skip


@pytest.mark.parametrize(("said", "span", "since", "until", "by"), DESCRIBED)
def test_periods_are_whole_hours_or_days_of_utc(
    said: dict[str, Any], span: UsageSpan, since: datetime, until: datetime, by: str
) -> None:
    found = span_of_time(said, now=NOW)
    assert (found.span, found.since, found.until, found.by) == (span, since, until, by)


def test_a_period_that_runs_is_compared_with_as_much_time() -> None:
    month = span_of_time({"span": "month"}, now=NOW)
    assert month.is_running
    assert (month.previous_since, month.previous_until) == (
        datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 4, 13, tzinfo=UTC),
    )  # fmt: skip
    last = span_of_time({"span": "last_month"}, now=NOW)
    assert (last.is_running, last.previous_since) == (False, datetime(2026, 1, 1, tzinfo=UTC))
    assert last.previous_until == datetime(2026, 1, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "then", "words"),
    [(125, 100, "+25%"), (92, 100, "−8%"), (100, 100, "±0%"), (5, 0, "nothing before"), (0, 0, ""), (0, 3, "−100%")],
)
def test_a_change_in_words(now: int, then: int, words: str) -> None:
    assert change(now, then) == words


@pytest.mark.django_db
def test_an_empty_page_says_what_to_do(browser: Client) -> None:
    page = browser.get("/usage").content.decode()
    assert "Nothing was used in this period" in page
    assert "A forecast needs one day of use." in page


@pytest.mark.django_db
def test_figures_lead_to_their_runs_and_those_to_price_hold_and_transfers(browser: Client, make_run: MakeRun) -> None:
    good, bad = make_run(), make_run(status=RunStatus.FAILED, output_tokens=0)
    roll_up()
    page = browser.get("/usage").content.decode()
    assert "provider/bard" in page
    assert "50%" in page  # failed
    links = {unescape(link) for link in re.findall(r'href="(/usage/runs\?[^"]+)"', page)}
    assert len(links) == 4  # of all, of the failed, of the model, of the day
    for link in links:
        found = browser.get(link).content.decode()
        assert f"/usage/{bad.pk}" in found
        assert (f"/usage/{good.pk}" in found) == ("status=failed" not in link)
    run = browser.get(f"/usage/{good.pk}").content.decode()
    assert "Captured" in run
    assert "Commission" in run


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("listing", "provider/bard"),
        ("key", "test (gst_"),
        ("member", "consumer@example.com"),
        ("kind", "Chat"),
        ("class", "Output"),
    ],
)
def test_by_whom(browser: Client, make_run: MakeRun, group: str, words: str) -> None:
    make_run()
    roll_up()
    page = browser.get("/usage", {"group": group}).content.decode()
    table = page[page.index('id="by-group"') :]
    assert words in table


@pytest.mark.django_db
def test_filters_hold_for_every_figure(browser: Client, consumer: User, make_run: MakeRun, past_run: RunMaker) -> None:
    run = make_run()
    past_run(at=datetime.now(UTC), charge_nano=77)
    roll_up()
    form = UsageFilter({"key": run.api_key_id}, organization=consumer.personal_organization)
    found = consumption(consumer.personal_organization, form)
    assert (found.sums.calls, found.sums.charge_nano) == (1, run.charge_nano)
    assert [line.figures.calls for line in found.groups] == [line.figures.calls for line in found.times] == [1]
    assert sum(found.charts["main"]["series"][0]["values"]) == 1
    assert f"key={run.api_key_id}" in found.groups[0].runs


@pytest.mark.django_db
def test_what_makes_no_sense_is_left_out_or_said(browser: Client, make_run: MakeRun) -> None:
    make_run()
    roll_up()
    for query in ({"key": "x"}, {"span": "x"}, {"group": "x"}, {"by": "x"}, {"since": "x"}, {"member": "9" * 40}):
        assert "provider/bard" in browser.get("/usage", query).content.decode()
    assert (
        "must end after it begins"
        in browser.get("/usage", {"since": "2026-03-04", "until": "2026-03-01"}).content.decode()
    )


@pytest.mark.django_db
def test_charts_have_every_hour_and_add_up(consumer: User, past_run: RunMaker) -> None:
    for hours in (0, 1, 1, 5):
        past_run(at=NOW - hours * HOUR, charge_nano=10)
    rebuild(NOW - DAY, NOW)
    found = consumption(
        consumer.personal_organization,
        UsageFilter({"span": "24h"}, organization=consumer.personal_organization),
        now=NOW,
    )
    main = found.charts["main"]
    calls, cost = (series["values"] for series in main["series"])
    assert len(main["times"]) == len(calls) == 24
    assert (calls[-1], calls[-2], calls[-6], sum(cost)) == (1, 2, 1, 40)
    assert sum(found.charts["groups"]["series"][0]["values"]) == 40
    assert found.charts["latency"]["series"][0]["values"][0] is None


@pytest.mark.django_db
def test_downloads_are_the_buckets(browser: Client, make_run: MakeRun) -> None:
    run = make_run()
    roll_up()
    answer = browser.get("/usage/export.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    [row] = csv.DictReader(io.StringIO(b"".join(answer).decode()))  # type: ignore[call-overload]
    assert (row["model"], row["calls"], row["charge_nano"]) == ("provider/bard", "1", str(run.charge_nano))
    table = parquet.read_table(io.BytesIO(browser.get("/usage/export.parquet").content))
    assert table.num_rows == 1
    assert table["output_tokens"].to_pylist() == [50]
    assert table["member"].to_pylist() == ["consumer@example.com"]
    empty = b"".join(browser.get("/usage/export.csv", {"kind": "training"}))  # type: ignore[call-overload]
    assert empty.count(b"\r\n") == 1


@pytest.mark.django_db
def test_a_name_is_no_formula_for_a_spreadsheet(browser: Client, consumer: User, make_run: MakeRun) -> None:
    make_run()
    User.objects.filter(pk=consumer.pk).update(email="=1+1@example.com")
    roll_up()
    assert b",'=1+1@example.com," in b"".join(browser.get("/usage/export.csv"))  # type: ignore[call-overload]


@pytest.mark.django_db
def test_anothers_usage_is_not_there(seller: Client, make_run: MakeRun) -> None:
    run = make_run()
    roll_up()
    assert "Nothing was used" in seller.get("/usage", {"key": run.api_key_id}).content.decode()
    assert b"".join(seller.get("/usage/export.csv")).count(b"\r\n") == 1  # type: ignore[call-overload]


@pytest.mark.django_db
def test_runs_can_be_filtered_by_member_kind_and_hour(browser: Client, make_run: MakeRun, consumer: User) -> None:
    run = make_run()
    hour = run.opened_at.replace(minute=0)
    for query, is_in in (
        ({"member": consumer.pk}, True),
        ({"kind": "chat"}, True),
        ({"kind": "playground"}, False),
        ({"since": f"{hour:%Y-%m-%dT%H:%M}", "until": f"{hour + HOUR:%Y-%m-%dT%H:%M}"}, True),
        ({"since": f"{hour - HOUR:%Y-%m-%dT%H:%M}", "until": f"{hour:%Y-%m-%dT%H:%M}"}, False),
        ({"since": f"{hour + timedelta(days=2):%Y-%m-%d}"}, False),
    ):
        assert (f"/usage/{run.pk}" in browser.get("/usage/runs", query).content.decode()) == is_in, query


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "span"), [({"kind": "training"}, "30d"), ({"since": "2026-03-01"}, "custom"), ({"span": "7d"}, "7d")]
)
def test_the_period_that_is_shown_stands_in_its_field(browser: Client, query: dict[str, str], span: str) -> None:
    assert f'<option value="{span}" selected>' in browser.get("/usage", query).content.decode()


@pytest.mark.django_db
def test_hours_come_in_pages_without_gap_or_double(browser: Client, past_run: RunMaker) -> None:
    for hours in range(TIME_ROWS + 3):
        past_run(at=NOW - hours * HOUR)
    rebuild(NOW - (TIME_ROWS + 3) * HOUR, NOW)
    query = {"since": "2026-03-01", "until": "2026-03-04", "by": "hour"}
    first = browser.get("/usage", query).context["found"]
    assert (first.moments, len(first.times)) == (TIME_ROWS + 3, TIME_ROWS)
    second = browser.get("/usage", {**query, "before": first.older}).context["found"]
    assert (second.sums, second.older) == (first.sums, None)
    labels = [line.label for line in (*first.times, *second.times)]
    assert labels == [f"{NOW - hours * HOUR:%Y-%m-%d %H:00}" for hours in range(TIME_ROWS + 3)]
    assert "Newest" in browser.get("/usage", {**query, "before": first.older}).content.decode()
    assert browser.get("/usage", {**query, "before": "x"}).context["found"].times == first.times
