"""The platform's share by rule: the most specific one that is in force, and rows that never change."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from store.accounts.models import Organization, User
from store.catalog.actions import NotInThisState, set_commission, withdraw_commission
from store.catalog.actions.commissions import CommissionSpec
from store.catalog.commissions import commission_of
from store.catalog.models import CommissionRule, CommissionScope, CommissionStanding, Listing
from store.errors import InvalidRequest
from tests.conftest import make_listing

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
GLOBAL, CATEGORY, PROVIDER, CAMPAIGN = CommissionScope
REASON = "As agreed."


@pytest.fixture
def law(listing: Listing) -> Listing:
    """``provider/bard`` in the category of law."""
    Listing.objects.filter(pk=listing.pk).update(category="law")
    listing.refresh_from_db()
    return listing


def spec(scope: CommissionScope, ppm: int, **changes: object) -> CommissionSpec:
    return CommissionSpec(**{"name": scope.label, "scope": scope, "ppm": ppm, **changes})  # type: ignore[arg-type]


def add(scope: CommissionScope, ppm: int, **changes: object) -> CommissionRule:
    return set_commission(spec=spec(scope, ppm, **changes), user=None, reason=REASON)


def soon() -> datetime:
    return timezone.now() + DAY


def test_without_a_rule_the_setting_counts(law: Listing, settings: Settings) -> None:
    settings.COMMISSION_PPM = 123
    assert (commission_of(law).ppm, commission_of(law).rule, commission_of(law).ends_at) == (123, None, None)


def test_the_more_specific_rule_counts(law: Listing) -> None:
    provider, ends = law.organization, soon()
    rows = [
        add(GLOBAL, 1), add(CATEGORY, 2, category="law"), add(PROVIDER, 3, provider=provider), add(CAMPAIGN, 4, ends_at=ends),
        add(CAMPAIGN, 5, ends_at=ends, category="law", name="Law"), add(CAMPAIGN, 6, ends_at=ends, provider=provider, name="Them"),
        add(CAMPAIGN, 7, ends_at=ends, provider=provider, category="law", name="Their law"),
    ]  # fmt: skip
    for rule in reversed(rows):
        assert (commission_of(law).ppm, commission_of(law).rule) == (rule.ppm, rule)
        withdraw_commission(rule=rule, user=None, reason=REASON)
    assert commission_of(law).rule is None


def test_the_order_in_which_rules_are_made_does_not_matter(law: Listing) -> None:
    add(PROVIDER, 3, provider=law.organization)
    add(CATEGORY, 2, category="law")
    add(GLOBAL, 1)
    assert commission_of(law).ppm == 3


def test_rules_of_others_do_not_count(law: Listing, stranger: User) -> None:
    add(PROVIDER, 1, provider=stranger.personal_organization)
    add(CATEGORY, 2, category="code")
    add(CAMPAIGN, 3, ends_at=soon(), provider=stranger.personal_organization)
    assert commission_of(law).rule is None
    assert commission_of(make_listing(stranger.personal_organization, "other")).ppm == 3


def test_a_new_rule_takes_the_place_of_the_old_one_at_its_time(law: Listing) -> None:
    first = add(GLOBAL, 1)
    add(GLOBAL, 2, starts_at=soon())
    assert commission_of(law).rule == first
    add(GLOBAL, 3)
    assert commission_of(law).ppm == 3
    standings = CommissionRule.objects.with_standing().order_by("id").values_list("standing", flat=True)
    assert list(standings) == [CommissionStanding.REPLACED, CommissionStanding.SCHEDULED, CommissionStanding.IN_FORCE]


def test_a_rule_that_has_ended_gives_way_to_the_one_before_it(law: Listing) -> None:
    now = timezone.now()
    for ppm, starts, ends in ((1, 9, None), (2, 5, 1)):
        CommissionRule.objects.create(
            name="All",
            scope=GLOBAL,
            ppm=ppm,
            reason=REASON,
            starts_at=now - starts * DAY,
            ends_at=ends and now - ends * DAY,
        )
    assert commission_of(law).ppm == 1
    standings = CommissionRule.objects.with_standing().order_by("id").values_list("standing", flat=True)
    assert list(standings) == [CommissionStanding.IN_FORCE, CommissionStanding.ENDED]


def test_taking_back_a_rule_that_has_not_begun_leaves_what_was_before(law: Listing) -> None:
    add(GLOBAL, 1)
    ahead = add(GLOBAL, 2, starts_at=soon())
    back = withdraw_commission(rule=ahead, user=None, reason=REASON)
    assert (back.ppm, back.starts_at) == (1, ahead.starts_at)
    lone = withdraw_commission(rule=add(CATEGORY, 2, category="law", starts_at=soon()), user=None, reason=REASON)
    assert lone.ppm is None
    assert commission_of(law).ppm == 1


def test_a_rule_ends_once(law: Listing) -> None:
    rule = add(GLOBAL, 1)
    none = withdraw_commission(rule=rule, user=None, reason=REASON)
    for ended in (rule, none):
        with pytest.raises(NotInThisState):
            withdraw_commission(rule=ended, user=None, reason=REASON)


@pytest.mark.parametrize(
    ("scope", "changes", "param"),
    [
        (GLOBAL, {"ppm": -1}, "ppm"),
        (GLOBAL, {"ppm": 1_000_001}, "ppm"),
        (GLOBAL, {"name": "  "}, "name"),
        (GLOBAL, {"name": "x" * 61}, "name"),
        (GLOBAL, {"category": "law"}, "category"),
        (CATEGORY, {}, "category"),
        (CATEGORY, {"category": "nonsense"}, "category"),
        (PROVIDER, {}, "provider"),
        (CAMPAIGN, {}, "ends_at"),
        (GLOBAL, {"starts_at": timezone.now() - DAY}, "starts_at"),
        (GLOBAL, {"starts_at": timezone.now() + 400 * DAY}, "starts_at"),
        (GLOBAL, {"ends_at": timezone.now() - DAY}, "ends_at"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(
    scope: CommissionScope, changes: dict[str, object], param: str, db: None
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        add(scope, **{"ppm": 1, **changes})  # type: ignore[arg-type]
    assert refused.value.param == param
    assert not CommissionRule.objects.exists()


def test_a_provider_is_for_a_providers_rule_and_a_reason_is_needed(law: Listing) -> None:
    with pytest.raises(InvalidRequest) as refused:
        add(GLOBAL, 1, provider=law.organization)
    assert refused.value.param == "provider"
    with pytest.raises(InvalidRequest) as refused:
        set_commission(spec=spec(GLOBAL, 1), user=None, reason=" ")
    assert refused.value.param == "reason"


@pytest.mark.parametrize(
    "wrong",
    [
        "UPDATE catalog_commissionrule SET ppm = 0",
        "DELETE FROM catalog_commissionrule",
        "INSERT INTO catalog_commissionrule (name, scope, category, ppm, reason) VALUES ('x', 'global', '', 1000001, 'x')",
        "INSERT INTO catalog_commissionrule (name, scope, category, ppm, reason) VALUES ('x', 'provider', '', 1, 'x')",
        "INSERT INTO catalog_commissionrule (name, scope, category, ppm, reason) VALUES ('x', 'campaign', '', 1, 'x')",
    ],
)
def test_the_database_keeps_rules_as_they_are(law: Listing, wrong: str) -> None:
    add(GLOBAL, 1)
    with pytest.raises(IntegrityError), connection.cursor() as cursor, transaction.atomic():
        cursor.execute(wrong)


MOMENTS = st.integers(-3, 3)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(CommissionScope), st.sampled_from(("law", "code")), st.booleans(), st.sampled_from("ab"),
        st.none() | st.integers(0, 1_000_000), MOMENTS, st.none() | MOMENTS,
    ),
    max_size=12,
)  # fmt: skip
ORDER = [CAMPAIGN, PROVIDER, CATEGORY, GLOBAL]


def made(rows: list[tuple], provider: Organization, other: Organization) -> list[CommissionRule]:
    """The rows that the constraints allow; times are hours from now, never this hour."""
    now, kept = timezone.now(), []
    for scope, category, is_theirs, name, ppm, starts, ends in rows:
        if (ends is not None and ends <= starts) or (scope == CAMPAIGN and ppm is not None and ends is None):
            continue
        fields = {
            "name": name if scope == CAMPAIGN else scope, "scope": scope, "ppm": ppm, "reason": REASON,
            "starts_at": now + timedelta(hours=starts - 0.5), "ends_at": None if ends is None else now + timedelta(hours=ends - 0.5),
        }  # fmt: skip
        if scope in (CATEGORY, CAMPAIGN):
            fields["category"] = category
        if scope in (PROVIDER, CAMPAIGN):
            fields["provider"] = provider if is_theirs else other
        kept.append(CommissionRule.objects.create(**fields))
    return kept


def expected(rows: list[CommissionRule], listing: Listing) -> CommissionRule | None:
    """The same by the words of the documentation, one by one."""
    now = timezone.now()
    alive = [row for row in rows if row.starts_at <= now and (row.ends_at is None or row.ends_at > now)]
    newest: dict[tuple, CommissionRule] = {}
    for row in sorted(alive, key=lambda row: (row.starts_at, row.pk)):
        newest[row.scope, row.category, row.provider_id, row.name if row.scope == CAMPAIGN else ""] = row
    fits = [
        row for row in newest.values()
        if row.ppm is not None and row.category in ("", listing.category) and row.provider_id in (None, listing.organization_id)
    ]  # fmt: skip
    fits.sort(key=lambda row: (row.starts_at, row.pk), reverse=True)
    fits.sort(key=lambda row: (ORDER.index(CommissionScope(row.scope)), row.provider_id is None, row.category == ""))
    return fits[0] if fits else None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_whatever_rows_there_are_the_documented_one_counts(law: Listing, stranger: User, rows: list[tuple]) -> None:
    with transaction.atomic():
        kept = made(rows, law.organization, stranger.personal_organization)
        assert commission_of(law).rule == expected(kept, law)
        in_force = {row.pk for row in CommissionRule.objects.with_standing() if row.standing == "in_force"}
        assert commission_of(law).rule is None or commission_of(law).rule.pk in in_force  # type: ignore[union-attr]
        transaction.set_rollback(True)


def test_a_provider_sees_the_rate_and_its_rule(client: Client, law: Listing, provider: User, stranger: User) -> None:
    client.force_login(provider)
    api = f"/api/listings/{law.name}/commission"
    assert client.get(api).json() == {"ppm": 150_000, "rule": None, "scope": None, "starts_at": None, "ends_at": None}
    ends = soon()
    add(CAMPAIGN, 25_000, name="Launch <summer>", ends_at=ends)
    said = client.get(api).json()
    assert (said["ppm"], said["rule"], said["scope"]) == (25_000, "Launch <summer>", "campaign")
    assert datetime.fromisoformat(said["ends_at"]) == ends
    page = client.get(f"/{law.name}/manage/prices").content.decode()
    assert "2.5%" in page
    assert "Launch &lt;summer&gt;" in page
    client.force_login(stranger)
    assert client.get(api).status_code == 404


FORM = {"name": "Everybody", "scope": "global", "percent": "12.5", "reason": REASON, "category": "", "provider": ""}


def test_the_admin_adds_a_rule_and_ends_it(staff: Client, admin: User, law: Listing) -> None:
    address = reverse("admin:catalog_commissionrule_add")
    assert staff.get(address).status_code == 200
    assert staff.post(address, FORM).status_code == 302
    rule = CommissionRule.objects.get()
    assert (rule.ppm, rule.created_by, commission_of(law).rule) == (125_000, admin, rule)
    listed = reverse("admin:catalog_commissionrule_changelist")
    page = staff.get(listed).content.decode()
    assert "12.5 %" in page
    assert "In force" in page
    end = {"action": "end", "_selected_action": [rule.pk]}
    assert "Say why" in staff.post(listed, end, follow=True).content.decode()
    assert "has ended" in staff.post(listed, {**end, "reason": "Over."}, follow=True).content.decode()
    assert commission_of(law).rule is None
    assert "not in force any more" in staff.post(listed, {**end, "reason": "Over."}, follow=True).content.decode()


def test_the_admin_changes_and_deletes_no_rule(staff: Client, law: Listing) -> None:
    rule = add(GLOBAL, 1)
    change = reverse("admin:catalog_commissionrule_change", args=[rule.pk])
    assert staff.get(change).status_code == 200
    assert staff.post(change, FORM).status_code == 403
    assert (
        staff.post(reverse("admin:catalog_commissionrule_delete", args=[rule.pk]), {"post": "yes"}).status_code == 403
    )
    assert commission_of(law).ppm == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scope": "category"}, "Choose the category"),
        ({"scope": "campaign"}, "A campaign has an end"),
        ({"percent": "100.1"}, "less than or equal to 100"),
        ({"ends_at_0": "2020-01-01", "ends_at_1": "00:00:00"}, "ends after it starts"),
        ({"reason": ""}, "required"),
    ],
)
def test_the_admin_is_told_what_is_wrong_with_a_rule(staff: Client, changes: dict[str, str], words: str) -> None:
    page = staff.post(reverse("admin:catalog_commissionrule_add"), {**FORM, **changes}).content.decode()
    assert words in page
    assert not CommissionRule.objects.exists()
