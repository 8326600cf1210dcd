"""API keys: what a client shows, what it opens, and how much it may spend."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Membership, Organization, Role, User
from store.catalog.models import Listing

BUDGET_KEEPERS = (Role.OWNER, Role.ADMIN, Role.BILLING)  # who may set what others may spend


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def visible_to(self, user: Any) -> ApiKeyQuerySet:
        """The keys of the user's organizations."""
        return self.filter(organization__in=Organization.objects.visible_to(user))

    def live(self) -> ApiKeyQuerySet:
        return self.filter(revoked_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))


class ApiKey(models.Model):
    """A secret of which only the digest is kept. Opens ``listings``, within its limits."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="api_keys")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(_("name"), max_length=80)
    prefix = models.CharField(max_length=16, unique=True, editable=False)  # the part that may be shown
    digest = models.BinaryField(max_length=32, unique=True, editable=False)  # sha256 of the whole secret
    old_digest = models.BinaryField(
        max_length=32, unique=True, null=True, editable=False
    )  # of the secret before a rotation
    old_until = models.DateTimeField(null=True, editable=False)  # the old secret works until then
    listings = models.ManyToManyField(Listing, related_name="api_keys")
    requests_per_minute = models.PositiveIntegerField(_("requests per minute"), null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(_("tokens per minute"), null=True, blank=True)
    max_parallel = models.PositiveIntegerField(_("calls at once"), null=True, blank=True)
    allowed_networks = ArrayField(models.CharField(max_length=43), default=list, blank=True)  # CIDR; empty: all
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return self.prefix


class KeyUse(models.Model):
    """The row that an opening run locks: how many runs of the key are open now."""

    api_key = models.OneToOneField(ApiKey, primary_key=True, on_delete=models.CASCADE, related_name="use")
    open_runs = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.api_key_id}: {self.open_runs}"


class Period(models.TextChoices):
    DAY = "day", _("per day")
    MONTH = "month", _("per month")
    TOTAL = "total", _("in all")


def period_starts_on(period: str, today: date) -> date:
    """The first day (UTC) of the period that ``today`` is in; 1970-01-01 for the total."""
    if period == Period.TOTAL:
        return date(1970, 1, 1)
    return today.replace(day=1) if period == Period.MONTH else today


def default_alert_percents() -> list[int]:
    return [50, 80, 100]


class BudgetQuerySet(models.QuerySet["Budget"]):
    def visible_to(self, user: Any) -> BudgetQuerySet:
        """All of an organization to those who keep its budgets; to its other members those that bind what they do themselves."""
        if not user.is_authenticated:
            return self.none()
        kept = Membership.objects.filter(user=user, role__in=BUDGET_KEEPERS).values("organization")
        binding = Q(api_key=None, member=None) | Q(member=user) | Q(api_key__created_by=user)
        mine = Organization.objects.visible_to(user)
        return self.filter(Q(organization__in=kept) | binding, organization__in=mine)

    def full(self) -> BudgetQuerySet:
        """With all that a page or an answer names."""
        return self.select_related("organization", "api_key", "member", "listing__organization")


class Budget(models.Model):
    """The most that may be spent in a period (UTC): by an organization, by one of its members or by a key; on all models, or on one.

    A member spends by keys that they made, in the playground and by trainings. A hard budget refuses what it cannot hold; a soft one only
    tells. It counts from when it is made. Changed, and its uses with it, under the lock of the organization's credit wallet.
    """

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="budgets")
    api_key = models.ForeignKey(ApiKey, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets")
    member = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    listing = models.ForeignKey(Listing, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    period = models.CharField(max_length=5, choices=Period)
    limit_nano = models.BigIntegerField()
    is_hard = models.BooleanField(default=True, db_default=True)
    alert_percents = ArrayField(
        models.PositiveSmallIntegerField(), default=default_alert_percents
    )  # of the limit, once spent
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = BudgetQuerySet.as_manager()

    class Meta:
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "api_key", "member", "listing", "period"],
                name="budget_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(condition=Q(limit_nano__gte=0), name="budget_not_negative"),
            models.CheckConstraint(condition=Q(api_key=None) | Q(member=None), name="budget_of_one_spender"),
        ]
        indexes = [
            models.Index(fields=["organization", "member"], condition=Q(api_key=None), name="budget_of_organization")
        ]

    def __str__(self) -> str:
        return f"{self.spender}: {self.limit_nano} {self.period}"

    @property
    def spender(self) -> str:
        """Whose spending it limits: an organization's name, a member's address, a key's name and prefix."""
        if self.api_key:
            return f"{self.api_key.name} ({self.api_key.prefix}…)"
        return self.member.email if self.member else self.organization.slug

    @property
    def scope(self) -> str:
        """``organization``, ``member`` or ``key``."""
        return "key" if self.api_key_id else "member" if self.member_id else "organization"


class BudgetUse(models.Model):
    """What was captured and is held against a budget in the period that begins on ``starts_on`` (UTC; 1970-01-01 for the total)."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="uses")
    starts_on = models.DateField()
    used_nano = models.BigIntegerField(default=0)
    refused_at = models.DateTimeField(null=True)  # when it first refused something, under the limit that it has now

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["budget", "starts_on"], name="budget_use_once"),
            models.CheckConstraint(condition=Q(used_nano__gte=0), name="budget_use_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} from {self.starts_on}: {self.used_nano}"
