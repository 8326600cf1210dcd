"""``/api/budgets``: what the user's organizations, their members and their keys may spend."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import Organization, TokenScope, User
from store.api.management.listings import organization_of
from store.api.management.of_listing import user_of, valid
from store.api.management.pages import NewestFirst
from store.catalog.models import Listing
from store.errors import InvalidRequest, NotFound
from store.keys.budgets import create_budget, remove_budget, update_budget
from store.keys.models import ApiKey, Budget, BudgetQuerySet, Period, default_alert_percents
from store.usage.budgets import budgets_now
from store.usage.forecast import Forecast


class ForecastSerializer(serializers.Serializer[Forecast]):
    """Of a month: what will have been spent at its end if it goes on at the average of the last ``hours`` hours (168 at most). Nano-dollars."""

    expected_nano = serializers.IntegerField()
    per_day_nano = serializers.IntegerField()
    hours = serializers.IntegerField()
    runs_out_at = serializers.DateTimeField(allow_null=True)


class SpendingLimitSerializer(serializers.Serializer[Any]):
    """A budget in its current period (UTC). Money in nano-dollars; ``used_nano`` is spent and held together; ``ends_on``: the first day after."""

    id = serializers.IntegerField(source="budget.id")
    organization = serializers.CharField(source="budget.organization.slug")
    member = serializers.EmailField(source="budget.member.email", default=None, allow_null=True)
    key = serializers.CharField(source="budget.api_key.prefix", default=None, allow_null=True)
    listing = serializers.CharField(source="budget.listing.name", default=None, allow_null=True)
    period = serializers.ChoiceField(source="budget.period", choices=Period.choices)
    limit_nano = serializers.IntegerField(source="budget.limit_nano")
    is_hard = serializers.BooleanField(source="budget.is_hard")
    alert_percents = serializers.ListField(source="budget.alert_percents", child=serializers.IntegerField())
    created_at = serializers.DateTimeField(source="budget.created_at")
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(allow_null=True)
    spent_nano = serializers.IntegerField()
    held_nano = serializers.IntegerField()
    used_nano = serializers.IntegerField()
    left_nano = serializers.IntegerField()
    refused_at = serializers.DateTimeField(allow_null=True)
    forecast = ForecastSerializer(allow_null=True)


class BudgetChange(serializers.Serializer[Budget]):
    """What can be changed of a budget; the rules are those of the verbs."""

    limit_nano = serializers.IntegerField()
    is_hard = serializers.BooleanField(default=True)
    alert_percents = serializers.ListField(child=serializers.IntegerField(), default=default_alert_percents)


class NewBudget(BudgetChange):
    """``organization`` is the user's own where it is not named; ``member`` by address, ``key`` by prefix, ``listing`` by full name: none is all."""

    organization = serializers.CharField(default=None)
    member = serializers.CharField(default=None, allow_null=True)
    key = serializers.CharField(default=None, allow_null=True)
    listing = serializers.CharField(default=None, allow_null=True)
    period = serializers.ChoiceField(choices=Period.choices)


class BudgetViews(viewsets.GenericViewSet[Budget]):
    """List, set, read, change, remove."""

    serializer_class = SpendingLimitSerializer
    pagination_class = NewestFirst
    queryset = Budget.objects.none()
    write_scope = TokenScope.KEYS

    def get_queryset(self) -> BudgetQuerySet:
        return Budget.objects.visible_to(self.request.user).full()

    def list(self, request: Request) -> Response:
        """Those that the user keeps, or that bind what they do."""
        shown = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response(SpendingLimitSerializer(budgets_now(shown), many=True).data)

    def retrieve(self, request: Request, pk: str) -> Response:
        return _shown(self.get_object())

    @extend_schema(request=NewBudget, responses={201: SpendingLimitSerializer})
    def create(self, request: Request) -> Response:
        """``POST /api/budgets``: it counts from now on."""
        terms = valid(NewBudget(data=request.data))
        organization = organization_of(request, terms.pop("organization"))
        terms["member"] = _member(organization, terms["member"])
        terms["api_key"] = _key(organization, terms.pop("key"))
        terms["listing"] = _listing(request, terms["listing"])
        made = create_budget(organization=organization, user=user_of(request), **terms)
        made.refresh_from_db()
        return _shown(made, status.HTTP_201_CREATED)

    @extend_schema(request=BudgetChange, responses=SpendingLimitSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """``PATCH /api/budgets/{id}``: what is not named stays."""
        budget = self.get_object()
        if not isinstance(request.data, dict):
            raise InvalidRequest(_("The body is not a JSON object."))
        now = {name: getattr(budget, name) for name in BudgetChange().get_fields()}
        terms = valid(BudgetChange(data={**now, **{name: request.data[name] for name in now if name in request.data}}))
        return _shown(update_budget(budget=budget, user=user_of(request), **terms))

    def destroy(self, request: Request, pk: str) -> Response:
        """``DELETE /api/budgets/{id}``: with its record of use."""
        remove_budget(budget=self.get_object(), user=user_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _shown(budget: Budget, http_status: int = status.HTTP_200_OK) -> Response:
    [now] = budgets_now([budget])
    return Response(SpendingLimitSerializer(now).data, status=http_status)


def _member(organization: Organization, email: str | None) -> User | None:
    if email is None:
        return None
    found = organization.memberships.filter(user__email__iexact=email).select_related("user").first()
    if found is None:
        raise NotFound(_("There is no such member."), param="member")
    return found.user


def _key(organization: Organization, prefix: str | None) -> ApiKey | None:
    if prefix is None:
        return None
    found = organization.api_keys.filter(prefix=prefix).first()
    if found is None:
        raise NotFound(_("There is no such key."), param="key")
    return found


def _listing(request: Request, name: str | None) -> Listing | None:
    if name is None:
        return None
    found = Listing.objects.visible_to(request.user).named(name).select_related("organization").first()
    if found is None:
        raise NotFound(_("There is no such model."), param="listing")
    return found
