"""``/api/keys``: the keys of the user's organizations."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import Organization, TokenScope
from store.api.management.listings import organization_of
from store.api.management.of_listing import user_of, valid
from store.api.management.pages import NewestFirst
from store.catalog.models import Listing
from store.errors import InvalidRequest, NotFound
from store.keys.actions import IssuedKey, issue_key, revoke_key, rotate_key, update_key
from store.keys.models import ApiKey, Budget, Period


class BudgetSerializer(serializers.Serializer[Budget]):
    """The most that a key may spend in a period, on one listing or, without one, on all. Nano-dollars."""

    listing = serializers.CharField(source="listing.name", default=None, allow_null=True)
    period = serializers.ChoiceField(choices=Period.choices)
    limit_nano = serializers.IntegerField(min_value=0)


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    """A key as it is shown: never its secret."""

    organization: serializers.SlugRelatedField[Organization] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True
    )
    listings: serializers.StringRelatedField[Listing] = serializers.StringRelatedField(many=True)
    budgets = BudgetSerializer(many=True)

    class Meta:
        model = ApiKey
        fields = (
            "id", "organization", "name", "prefix", "listings", "budgets", "requests_per_minute", "tokens_per_minute", "max_parallel",
            "allowed_networks", "created_at", "expires_at", "revoked_at", "last_used_at",
        )  # fmt: skip


class KeyTerms(serializers.Serializer[ApiKey]):
    """What a key is issued with; the rules are those of the verbs."""

    name = serializers.CharField()
    listings = serializers.ListField(child=serializers.CharField())
    requests_per_minute = serializers.IntegerField(allow_null=True, default=None)
    tokens_per_minute = serializers.IntegerField(allow_null=True, default=None)
    max_parallel = serializers.IntegerField(allow_null=True, default=None)
    allowed_networks = serializers.ListField(child=serializers.CharField(), default=list)
    expires_at = serializers.DateTimeField(allow_null=True, default=None)
    budgets = BudgetSerializer(many=True, default=list)


class NewKey(KeyTerms):
    """``organization`` is the user's own where it is not named."""

    organization = serializers.CharField(default=None)


class Rotation(serializers.Serializer[ApiKey]):
    """How long the old secret lives on, in seconds."""

    grace_s = serializers.IntegerField(default=0)


class KeyViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ApiKey]):
    """List, create, retrieve, change, revoke, rotate."""

    serializer_class = KeySerializer
    pagination_class = NewestFirst
    write_scope = TokenScope.KEYS

    def get_queryset(self) -> QuerySet[ApiKey]:
        keys = ApiKey.objects.visible_to(self.request.user)
        return keys.select_related("organization").prefetch_related(
            "listings__organization", "budgets__listing__organization"
        )

    def create(self, request: Request) -> Response:
        """``POST /api/keys``: the one answer that holds the secret."""
        terms = valid(NewKey(data=request.data))
        organization = organization_of(request, terms.pop("organization"))
        issued = issue_key(organization=organization, user=user_of(request), **_resolved(request, terms))
        return _shown_once(issued, status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        """``PATCH /api/keys/{id}``: what is not named stays."""
        api_key = self.get_object()
        if not isinstance(request.data, dict):
            raise InvalidRequest(_("The body is not a JSON object."))
        now = {**KeySerializer(api_key).data, **request.data}
        terms = valid(KeyTerms(data={name: now[name] for name in KeyTerms().get_fields()}))
        changed = update_key(api_key=api_key, user=user_of(request), **_resolved(request, terms))
        return Response(KeySerializer(self.get_queryset().get(pk=changed.pk)).data)

    def destroy(self, request: Request, pk: str) -> Response:
        """``DELETE /api/keys/{id}``: dead everywhere within a second."""
        revoke_key(api_key=self.get_object(), user=user_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """``POST /api/keys/{id}/rotate``: a new secret."""
        grace_s = valid(Rotation(data=request.data))["grace_s"]
        return _shown_once(
            rotate_key(api_key=self.get_object(), user=user_of(request), grace_s=grace_s), status.HTTP_200_OK
        )


def _shown_once(issued: IssuedKey, http_status: int) -> Response:
    return Response({**KeySerializer(issued.api_key).data, "secret": issued.secret}, status=http_status)


def _resolved(request: Request, terms: dict[str, Any]) -> dict[str, Any]:
    """Names of listings become listings. Raises NotFound for one that the user cannot see."""
    seen = {name: _listing(request, name, "listings") for name in terms["listings"]}
    budgets = []
    for budget in terms["budgets"]:
        name = (budget.get("listing") or {}).get("name")
        budgets.append(
            (_listing(request, name, "budgets") if name else None, Period(budget["period"]), budget["limit_nano"])
        )
    return {**terms, "listings": list(seen.values()), "budgets": budgets}


def _listing(request: Request, name: str, param: str) -> Listing:
    found = Listing.objects.visible_to(request.user).named(name).select_related("organization").first()
    if found is None:
        raise NotFound(_("There is no such model."), param=param)
    return found
