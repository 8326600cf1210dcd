"""``/api/payouts``: what the user's organizations have earned, and how it gets to their banks."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import Organization, TokenScope
from store.api.management.listings import organization_of
from store.api.management.of_listing import user_of, valid
from store.api.management.pages import NewestFirst
from store.ledger.earnings import earnings_of, releases
from store.ledger.models import WalletKind
from store.payouts.accounts import account_of, require_cashier, start_onboarding
from store.payouts.actions import cancel_payout, request_payout, retry_payout, set_schedule
from store.payouts.models import AccountState, ConnectAccount, Interval, Payout, PayoutSchedule

ORGANIZATION = OpenApiParameter("organization", str, description="The user's own, where none is named.")


class PayoutSerializer(serializers.ModelSerializer[Payout]):
    """Nano-dollars; ``sent_nano`` is whole cents. ``arrived_minor`` is what the bank was sent, in its currency's smallest unit."""

    organization: serializers.SlugRelatedField[Organization] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True
    )
    sent_nano = serializers.IntegerField(read_only=True)
    retry_of = serializers.UUIDField(source="retry_of_id", allow_null=True, read_only=True)

    class Meta:
        model = Payout
        fields = (
            "id", "organization", "status", "origin", "amount_nano", "fee_nano", "sent_nano", "available_nano", "earned_from", "earned_until",
            "arrived_minor", "arrived_currency", "failure_code", "failure_message", "stripe_transfer", "stripe_payout", "retry_of",
            "created_at", "sent_at", "finished_at",
        )  # fmt: skip


class NewPayout(serializers.Serializer[Payout]):
    """``organization`` is the user's own where it is not named; without an amount, all that is available."""

    organization = serializers.CharField(default=None)
    amount_nano = serializers.IntegerField(default=None, min_value=1, max_value=2**62)


class EarningsReleaseSerializer(serializers.Serializer[Any]):
    """An amount of nano-dollars that becomes available at a time."""

    at = serializers.DateTimeField()
    amount_nano = serializers.IntegerField()


class EarningsSerializer(serializers.Serializer[Any]):
    """Nano-dollars. ``releases``: when what is held back becomes available."""

    organization = serializers.CharField()
    posted_nano = serializers.IntegerField()
    available_nano = serializers.IntegerField()
    held_back_nano = serializers.IntegerField()
    in_flight_nano = serializers.IntegerField()
    releases = EarningsReleaseSerializer(many=True)


class AccountSerializer(serializers.ModelSerializer[ConnectAccount]):
    """``requirements``: what Stripe wants to know before it pays, in its own names."""

    class Meta:
        model = ConnectAccount
        fields = ("stripe_id", "place", "state", "requirements", "disabled_reason", "country", "currency", "looked_at")


class Onboarding(serializers.Serializer[Any]):
    """A page of Stripe's; its address works once."""

    url = serializers.URLField()


class ScheduleSerializer(serializers.ModelSerializer[PayoutSchedule]):
    """``skipped``: why nothing was paid the last time."""

    class Meta:
        model = PayoutSchedule
        fields = ("interval", "minimum_nano", "next_at", "skipped")


class NewSchedule(serializers.Serializer[PayoutSchedule]):
    """``minimum_nano`` 0: the store's own."""

    organization = serializers.CharField(default=None)
    interval = serializers.ChoiceField(choices=Interval.choices)
    minimum_nano = serializers.IntegerField(default=0, min_value=0, max_value=2**62)


class PayoutViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Payout]):
    """List, retrieve, ask for one, cancel, try again."""

    serializer_class = PayoutSerializer
    pagination_class = NewestFirst
    lookup_value_converter = "uuid"
    write_scope = TokenScope.PAYOUTS
    queryset = Payout.objects.none()

    def get_queryset(self) -> QuerySet[Payout]:
        return Payout.objects.visible_to(self.request.user).select_related("organization", "account")

    @extend_schema(request=NewPayout, responses={201: PayoutSerializer})
    def create(self, request: Request) -> Response:
        """``POST /api/payouts``."""
        asked = valid(NewPayout(data=request.data))
        organization = organization_of(request, asked["organization"])
        made = request_payout(organization=organization, user=user_of(request), amount_nano=asked["amount_nano"])
        return self._shown(made, status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=PayoutSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """While it is pending."""
        return self._shown(cancel_payout(payout=self.get_object(), user=user_of(request)))

    @extend_schema(request=None, responses={201: PayoutSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Another one of the same amount, for one that has not arrived."""
        made = retry_payout(payout=self.get_object(), user=user_of(request))
        return self._shown(made, status.HTTP_201_CREATED)

    def _shown(self, payout: Payout, http_status: int = status.HTTP_200_OK) -> Response:
        payout.refresh_from_db()
        return Response(PayoutSerializer(payout).data, status=http_status)


class EarningsViews(viewsets.GenericViewSet[Any]):
    """``/api/payouts/balance``, ``/account`` and ``/schedule`` of an organization."""

    serializer_class = EarningsSerializer
    pagination_class = None
    write_scope = TokenScope.PAYOUTS
    queryset = Payout.objects.none()

    @extend_schema(parameters=[ORGANIZATION], responses=EarningsSerializer)
    def balance(self, request: Request) -> Response:
        mine = self._mine(request, request.query_params.get("organization"))
        earnings = earnings_of(mine.pk)
        flying = mine.wallets.filter(kind=WalletKind.IN_FLIGHT).values_list("posted_nano", flat=True).first()
        shown = {
            "organization": mine.slug, "posted_nano": earnings.posted_nano, "available_nano": earnings.available_nano,
            "held_back_nano": earnings.held_back_nano, "in_flight_nano": flying or 0, "releases": releases(earnings),
        }  # fmt: skip
        return Response(EarningsSerializer(shown).data)

    @extend_schema(parameters=[ORGANIZATION], responses=AccountSerializer)
    def account(self, request: Request) -> Response:
        """An organization that has not begun has an account that is not finished."""
        mine = self._mine(request, request.query_params.get("organization"))
        return Response(AccountSerializer(account_of(mine) or ConnectAccount(state=AccountState.INCOMPLETE)).data)

    @extend_schema(parameters=[ORGANIZATION], request=None, responses={201: Onboarding})
    def onboard(self, request: Request) -> Response:
        """``POST /api/payouts/account``: a page on which Stripe asks who is paid."""
        mine = self._mine(request, request.query_params.get("organization"))
        url = start_onboarding(organization=mine, user=user_of(request))
        return Response({"url": url}, status=status.HTTP_201_CREATED)

    @extend_schema(parameters=[ORGANIZATION], responses=ScheduleSerializer)
    def schedule(self, request: Request) -> Response:
        mine = self._mine(request, request.query_params.get("organization"))
        found = PayoutSchedule.objects.filter(organization=mine).first()
        return Response(ScheduleSerializer(found or PayoutSchedule(organization=mine)).data)

    @extend_schema(request=NewSchedule, responses=ScheduleSerializer)
    def set_schedule(self, request: Request) -> Response:
        """``PUT /api/payouts/schedule``."""
        terms = valid(NewSchedule(data=request.data))
        mine = self._mine(request, terms.pop("organization"))
        return Response(ScheduleSerializer(set_schedule(organization=mine, user=user_of(request), **terms)).data)

    def _mine(self, request: Request, slug: str | None) -> Organization:
        organization = organization_of(request, slug)
        require_cashier(organization, user_of(request))
        return organization
