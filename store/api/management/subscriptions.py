"""``/api/subscriptions``, and ``/api/listings/{organization}/{slug}/plans``: what is paid by the month. Nano-dollars throughout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import Organization
from store.api.management.listings import organization_of
from store.api.management.of_listing import OfListing, user_of, valid
from store.api.management.pages import NewestFirst
from store.catalog.models import Listing
from store.errors import NotFound
from store.subscriptions import actions
from store.subscriptions.models import Subscription, SubscriptionPeriod, SubscriptionPlan


class PlanSerializer(serializers.ModelSerializer[SubscriptionPlan]):
    """A month of a model: ``included_tokens`` of any class, or ``included_input`` and ``included_output``; the others are null."""

    class Meta:
        model = SubscriptionPlan
        fields = (
            "id",
            "name",
            "price_nano",
            "included_tokens",
            "included_input",
            "included_output",
            "created_at",
            "retired_at",
        )


class NewPlan(serializers.Serializer[SubscriptionPlan]):
    """The rules are those of the verb."""

    name = serializers.CharField()
    price_nano = serializers.IntegerField()
    included_tokens = serializers.IntegerField(allow_null=True, default=None)
    included_input = serializers.IntegerField(allow_null=True, default=None)
    included_output = serializers.IntegerField(allow_null=True, default=None)


class PlanViews(OfListing[SubscriptionPlan]):
    """List those that can be subscribed to, offer, retire."""

    serializer_class = PlanSerializer
    queryset = SubscriptionPlan.objects.none()

    def get_permissions(self) -> Sequence[Any]:
        return (AllowAny(),) if self.action == "list" else super().get_permissions()

    @extend_schema(responses=PlanSerializer(many=True))
    def list(self, request: Request, **_address: str) -> Response:
        return self.page(self.seen().plans.offered())

    @extend_schema(request=NewPlan, responses={201: PlanSerializer})
    def create(self, request: Request, **_address: str) -> Response:
        plan = actions.PlanSpec(**valid(NewPlan(data=request.data)))
        made = actions.offer_plan(listing=self.own(), user=user_of(request), plan=plan)
        return Response(PlanSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses=PlanSerializer)
    def destroy(self, request: Request, **_address: str) -> Response:
        """Retires it: nobody subscribes to it any more, and those who have keep it."""
        listing = self.own()
        retired = actions.retire_plan(listing=listing, user=user_of(request), plan=self.one(listing.plans.all()))
        return Response(PlanSerializer(retired).data)


class MonthSerializer(serializers.ModelSerializer[SubscriptionPeriod]):
    """A month that was paid: ``credit_nano`` of its price was left of the month before. Used tokens count those that open calls may need."""

    plan = PlanSerializer()

    class Meta:
        model = SubscriptionPeriod
        fields = ("id", "plan", "starts_at", "ends_at", "charge_nano", "credit_nano", "used_input", "used_output")


class SubscriptionSerializer(serializers.ModelSerializer[Subscription]):
    """``month`` is the newest. ``due_at``: when the next is paid, or the subscription ends where it ``is_cancelled``."""

    organization: serializers.SlugRelatedField[Organization] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True
    )
    listing: serializers.StringRelatedField[Listing] = serializers.StringRelatedField()
    plan = PlanSerializer()
    next_plan = PlanSerializer(allow_null=True)
    month = MonthSerializer(source="period")

    class Meta:
        model = Subscription
        fields = (
            "id", "organization", "listing", "plan", "next_plan", "status", "is_cancelled", "due_at", "attempts", "end_reason",
            "created_at", "ended_at", "month",
        )  # fmt: skip


class NewSubscription(serializers.Serializer[Subscription]):
    """``organization`` is the user's own where it is not named."""

    plan = serializers.IntegerField()
    organization = serializers.CharField(default=None)


class PlanChoice(serializers.Serializer[Subscription]):
    plan = serializers.IntegerField()


class Cancelling(serializers.Serializer[Subscription]):
    """``at_once``: what is left of the month is forfeited."""

    at_once = serializers.BooleanField(default=False)


class SubscriptionViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Subscription]):
    """Those of the user's organizations: list, begin, look at, change the plan, cancel, take a cancelling back."""

    serializer_class = SubscriptionSerializer
    pagination_class = NewestFirst
    queryset = Subscription.objects.none()

    def get_queryset(self) -> QuerySet[Subscription]:
        mine = Subscription.objects.visible_to(self.request.user)
        return mine.select_related("organization", "listing__organization", "plan", "next_plan")

    @extend_schema(request=NewSubscription, responses={201: SubscriptionSerializer})
    def create(self, request: Request) -> Response:
        """Pays the first month."""
        terms = valid(NewSubscription(data=request.data))
        organization = organization_of(request, terms["organization"])
        made = actions.subscribe(organization=organization, user=user_of(request), plan=_plan(request, terms["plan"]))
        return Response(SubscriptionSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=PlanChoice, responses=SubscriptionSerializer)
    @action(detail=True, methods=["post"])
    def change(self, request: Request, pk: str) -> Response:
        """A dearer plan begins at once, less what is left of this month; another one with the next month."""
        plan = _plan(request, valid(PlanChoice(data=request.data))["plan"])
        return self._answer(actions.change_plan(subscription=self.get_object(), user=user_of(request), plan=plan))

    @extend_schema(request=Cancelling, responses=SubscriptionSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """With the month that is paid, or at once. Nothing is paid back."""
        at_once = valid(Cancelling(data=request.data))["at_once"]
        subscription = self.get_object()
        return self._answer(
            actions.cancel_subscription(subscription=subscription, user=user_of(request), at_once=at_once)
        )

    @extend_schema(request=None, responses=SubscriptionSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Takes a cancelling back."""
        return self._answer(actions.resume_subscription(subscription=self.get_object(), user=user_of(request)))

    def _answer(self, changed: Subscription) -> Response:
        return Response(SubscriptionSerializer(changed).data)


def _plan(request: Request, plan_id: int) -> SubscriptionPlan:
    """A plan of a model that the user may see. Raises NotFound."""
    seen = SubscriptionPlan.objects.filter(listing__in=Listing.objects.visible_to(request.user))
    found = seen.select_related("listing__organization").filter(pk=plan_id).first()
    if found is None:
        raise NotFound(_("There is no such plan."), param="plan")
    return found
