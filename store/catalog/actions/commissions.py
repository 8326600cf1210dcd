"""The platform's commission: rules are added, and take the place of those before them; none is ever changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import Organization, User
from store.catalog.actions.errors import NotInThisState
from store.catalog.categories import CATEGORIES
from store.catalog.models import CommissionRule, CommissionScope, CommissionStanding
from store.errors import InvalidRequest
from store.ledger.pricing import PPM

MAX_AHEAD_DAYS = 366
NAME_CHARS, REASON_CHARS = 60, 300


@dataclass(frozen=True, kw_only=True, slots=True)
class CommissionSpec:
    """``ppm``: of a charge, parts per million. ``starts_at`` None: now. ``category`` and ``provider`` as the scope has them."""

    name: str
    scope: CommissionScope
    ppm: int
    category: str = ""
    provider: Organization | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def check(self) -> None:
        """Raises InvalidRequest naming the field."""
        if not 0 < len(self.name.strip()) <= NAME_CHARS:
            raise InvalidRequest(_("Give the rule a name of at most %d characters.") % NAME_CHARS, param="name")
        if not 0 <= self.ppm <= PPM:
            raise InvalidRequest(_("A commission is a share of 0 to 100 percent."), param="ppm")
        self._check_whom()
        self._check_when()

    def _check_whom(self) -> None:
        if self.category and self.category not in CATEGORIES:
            raise InvalidRequest(_("There is no such category."), param="category")
        takes_category = self.scope in (CommissionScope.CATEGORY, CommissionScope.CAMPAIGN)
        takes_provider = self.scope in (CommissionScope.PROVIDER, CommissionScope.CAMPAIGN)
        if self.category and not takes_category:
            raise InvalidRequest(_("Only a category’s rule and a campaign have a category."), param="category")
        if self.provider and not takes_provider:
            raise InvalidRequest(_("Only a provider’s rule and a campaign have a provider."), param="provider")
        if self.scope == CommissionScope.CATEGORY and not self.category:
            raise InvalidRequest(_("Choose the category that the rule is for."), param="category")
        if self.scope == CommissionScope.PROVIDER and not self.provider:
            raise InvalidRequest(_("Choose the provider that the rule is for."), param="provider")

    def _check_when(self) -> None:
        now = timezone.now()
        starts_at = self.starts_at or now
        if not now <= starts_at <= now + timedelta(days=MAX_AHEAD_DAYS):
            raise InvalidRequest(_("A rule starts now, or on a day of the next year."), param="starts_at")
        if self.ends_at and self.ends_at <= starts_at:
            raise InvalidRequest(_("A rule ends after it starts."), param="ends_at")
        if self.scope == CommissionScope.CAMPAIGN and not self.ends_at:
            raise InvalidRequest(_("A campaign has an end."), param="ends_at")


def set_commission(*, spec: CommissionSpec, user: User | None, reason: str) -> CommissionRule:
    """Adds a rule, which from its start on takes the place of the one before it for the same. Runs under way keep what was at their hold.

    Raises InvalidRequest naming the field.
    """
    spec.check()
    begins = {"starts_at": spec.starts_at} if spec.starts_at else {}
    return CommissionRule.objects.create(
        name=spec.name.strip(), scope=spec.scope, category=spec.category, provider=spec.provider, ppm=spec.ppm, ends_at=spec.ends_at,
        reason=check_reason(reason), created_by=user, **begins,
    )  # fmt: skip


@transaction.atomic
def withdraw_commission(*, rule: CommissionRule, user: User | None, reason: str) -> CommissionRule:
    """Ends a rule by a row that says so: from now on the next more general one counts. One that has not started is taken back: then
    what was to hold before it stays.

    Raises InvalidRequest naming the reason, NotInThisState (it has ended or was replaced, or is one that ends another).
    """
    reason = check_reason(reason)
    found = CommissionRule.objects.with_standing().get(pk=rule.pk)
    standing = found.standing  # type: ignore[attr-defined]  # an annotation
    if standing not in (CommissionStanding.IN_FORCE, CommissionStanding.SCHEDULED):
        raise NotInThisState(_("The rule is not in force any more."))
    ppm, fields = None, {}
    if standing == CommissionStanding.SCHEDULED:
        earlier = CommissionRule.objects.for_the_same(found).filter(starts_at__lt=found.starts_at)
        before = earlier.exclude(ends_at__lte=found.starts_at).first()
        ppm, fields = (
            before.ppm if before else None,
            {"starts_at": found.starts_at, "ends_at": before and before.ends_at},
        )
    return CommissionRule.objects.create(
        name=found.name, scope=found.scope, category=found.category, provider=found.provider, ppm=ppm, reason=reason,
        created_by=user, **fields,
    )  # fmt: skip


def check_reason(reason: str) -> str:
    """The reason without the space around it. Raises InvalidRequest."""
    if not 0 < len(reason.strip()) <= REASON_CHARS:
        raise InvalidRequest(_("Say why, in at most %d characters.") % REASON_CHARS, param="reason")
    return reason.strip()
