"""``/api/wallet``: the credit of the user's organizations."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.generics import ListAPIView

from store.accounts.models import Organization
from store.api.management.pages import NewestFirst
from store.ledger.models import Wallet, WalletKind


class WalletSerializer(serializers.ModelSerializer[Wallet]):
    """Nano-dollars; ``available_nano`` is what a new call may use."""

    organization: serializers.SlugRelatedField[Organization] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True
    )
    available_nano = serializers.IntegerField(read_only=True)

    class Meta:
        model = Wallet
        fields = ("organization", "posted_nano", "held_nano", "available_nano")


class WalletView(ListAPIView[Wallet]):
    """``GET /api/wallet``. An organization that never had credit has no row."""

    serializer_class = WalletSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Wallet]:
        mine = Organization.objects.visible_to(self.request.user)
        return Wallet.objects.filter(organization__in=mine, kind=WalletKind.CREDIT).select_related("organization")
