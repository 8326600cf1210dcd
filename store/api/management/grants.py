"""``/api/grants``: credit that the user's organizations were given, and promo codes."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import Organization
from store.api.management.listings import organization_of
from store.api.management.of_listing import user_of, valid
from store.api.management.pages import NewestFirst
from store.billing.models import Grant, Redemption
from store.billing.promo import redeem


class GrantSerializer(serializers.ModelSerializer[Grant]):
    """Nano-dollars, as of the last count, which is made every hour and when a grant ends."""

    organization: serializers.SlugRelatedField[Organization] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True
    )
    left_nano = serializers.IntegerField(read_only=True)

    class Meta:
        model = Grant
        fields = (
            "id", "organization", "source", "reason", "amount_nano", "spent_nano", "returned_nano", "left_nano", "expires_at",
            "created_at", "ended_at",
        )  # fmt: skip


class CodeToUse(serializers.Serializer[Redemption]):
    """``organization`` is the user's own where it is not named."""

    code = serializers.CharField(max_length=40)
    organization = serializers.CharField(default=None)


class RedemptionSerializer(serializers.ModelSerializer[Redemption]):
    """``grant`` is null while the code waits for the next top-up."""

    code = serializers.CharField(source="code.code")
    grant = GrantSerializer(allow_null=True)

    class Meta:
        model = Redemption
        fields = ("id", "code", "grant", "created_at")


class GrantViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Grant]):
    """List, retrieve; use a code."""

    serializer_class = GrantSerializer
    pagination_class = NewestFirst
    queryset = Grant.objects.none()

    def get_queryset(self) -> QuerySet[Grant]:
        rows = Grant.objects.visible_to(self.request.user).select_related("organization")
        wanted = self.request.query_params.get("state")
        return rows.filter(ended_at__isnull=wanted == "open") if wanted in ("open", "ended") else rows

    @extend_schema(parameters=[OpenApiParameter("state", str, enum=["open", "ended"])])
    def list(self, request: Request) -> Response:
        return super().list(request)

    @extend_schema(request=CodeToUse, responses={201: RedemptionSerializer})
    def use_code(self, request: Request) -> Response:
        """``POST /api/grants/code``: credit at once, or with the next top-up."""
        wanted = valid(CodeToUse(data=request.data))
        organization = organization_of(request, wanted["organization"])
        used = redeem(organization=organization, user=user_of(request), code=wanted["code"])
        used.refresh_from_db()
        return Response(RedemptionSerializer(used).data, status=status.HTTP_201_CREATED)
