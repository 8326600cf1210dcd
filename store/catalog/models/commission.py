"""What the platform takes of each charge: rules over time, which never change."""

from __future__ import annotations

from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User


class CommissionScope(models.TextChoices):
    """Whom a rule is for, from the most general to the most specific: of two that apply the later one here counts."""

    GLOBAL = "global", _("Everybody")
    CATEGORY = "category", _("A category")
    PROVIDER = "provider", _("A provider")
    CAMPAIGN = "campaign", _("A campaign")


class CommissionStanding(models.TextChoices):
    """What a rule means at this moment."""

    IN_FORCE = "in_force", _("In force")
    SCHEDULED = "scheduled", _("Not yet")
    ENDED = "ended", _("Ended")
    REPLACED = "replaced", _("Replaced")
    NONE = "none", _("No rule")  # in force, and says that there is none


class CommissionRuleQuerySet(models.QuerySet["CommissionRule"]):
    def for_the_same(self, rule: CommissionRule) -> CommissionRuleQuerySet:
        """The rule and those whose place it takes, or which take its: the newest first."""
        name = {"name": rule.name} if rule.scope == CommissionScope.CAMPAIGN else {}
        same = self.filter(scope=rule.scope, category=rule.category, provider=rule.provider_id, **name)
        return same.order_by("-starts_at", "-id")

    def with_standing(self) -> CommissionRuleQuerySet:
        """Each with its ``standing``."""
        newer = CommissionRule.objects.annotate(whose=Coalesce("provider_id", 0)).filter(
            Q(starts_at__gt=OuterRef("starts_at")) | Q(starts_at=OuterRef("starts_at"), id__gt=OuterRef("id")),
            ~Q(scope=CommissionScope.CAMPAIGN) | Q(name=OuterRef("name")),
            Q(ends_at=None) | Q(ends_at__gt=Now()),
            starts_at__lte=Now(), scope=OuterRef("scope"), category=OuterRef("category"), whose=Coalesce(OuterRef("provider_id"), 0),
        )  # fmt: skip
        return self.annotate(
            standing=Case(
                When(starts_at__gt=Now(), then=Value(CommissionStanding.SCHEDULED)),
                When(ends_at__lte=Now(), then=Value(CommissionStanding.ENDED)),
                When(Exists(newer), then=Value(CommissionStanding.REPLACED)),
                When(ppm=None, then=Value(CommissionStanding.NONE)),
                default=Value(CommissionStanding.IN_FORCE),
            )
        )


class CommissionRule(models.Model):
    """The platform's share of the charges of some listings, from ``starts_at`` until ``ends_at``. A row never changes (a trigger refuses).

    A later row for the same takes its place: the same scope, category and provider, and of a campaign the same name. ``ppm`` null
    says that there is no such rule any more. A campaign is for everybody, or for a category, a provider, or a category of a provider's.
    """

    name = models.CharField(_("name"), max_length=60, help_text=_("Providers see it beside the rate."))
    scope = models.CharField(_("for"), max_length=8, choices=CommissionScope)
    category = models.SlugField(_("category"), max_length=40, blank=True, default="")  # of store.catalog.categories
    provider = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.PROTECT, related_name="+", verbose_name=_("provider")
    )
    ppm = models.PositiveIntegerField(_("commission"), null=True)  # of the charge, parts per million
    starts_at = models.DateTimeField(_("starts"), blank=True, db_default=Now())
    ends_at = models.DateTimeField(_("ends"), blank=True, null=True)  # of a campaign always
    reason = models.CharField(_("reason"), max_length=300)  # for the people who run the store
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = CommissionRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("commission rule")
        verbose_name_plural = _("commission rules")
        constraints = [
            models.CheckConstraint(condition=Q(ppm=None) | Q(ppm__lte=1_000_000), name="commission_rule_sane"),
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), name="commission_rule_ends_after_it_starts"
            ),
            models.CheckConstraint(
                condition=Q(scope="global", category="", provider=None)
                | Q(~Q(category=""), scope="category", provider=None)
                | Q(scope="provider", category="", provider__isnull=False)
                | Q(Q(ppm=None) | Q(ends_at__isnull=False), scope="campaign"),
                name="commission_rule_is_for_somebody",
            ),
        ]

    def __str__(self) -> str:
        return self.name
