"""``/api/webhooks``: where the events of the user's organizations are posted, and what came of each."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import Organization
from store.api.management.listings import organization_of
from store.api.management.of_listing import user_of, valid
from store.api.management.pages import NewestFirst
from store.errors import InvalidRequest, NotFound
from store.webhooks import actions, event_types
from store.webhooks.models import Delivery, WebhookEndpoint
from store.webhooks.signing import payload


class WebhookSerializer(serializers.ModelSerializer[WebhookEndpoint]):
    """A webhook as it is shown: never its secret. No ``event_types``: all."""

    organization: serializers.SlugRelatedField[Organization] = serializers.SlugRelatedField(
        slug_field="slug", read_only=True
    )
    is_enabled = serializers.SerializerMethodField()

    class Meta:
        model = WebhookEndpoint
        fields = (
            "id", "organization", "url", "description", "event_types", "is_enabled", "disabled_at", "disabled_reason", "old_until",
            "created_at", "tried_at", "succeeded_at",
        )  # fmt: skip

    def get_is_enabled(self, endpoint: WebhookEndpoint) -> bool:
        return endpoint.disabled_at is None


class IssuedWebhook(WebhookSerializer):
    """The one answer that has the secret."""

    secret = serializers.CharField()

    class Meta:
        model = WebhookEndpoint
        fields = (*WebhookSerializer.Meta.fields, "secret")


class WebhookTerms(serializers.Serializer[WebhookEndpoint]):
    """What a webhook is made with; the rules are those of the verbs."""

    url = serializers.CharField()
    event_types = serializers.ListField(child=serializers.CharField(), default=list)
    description = serializers.CharField(default="", allow_blank=True)


class NewWebhook(WebhookTerms):
    """``organization`` is the user's own where it is not named."""

    organization = serializers.CharField(default=None)


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """An event on its way to a webhook. ``response_start``: the first 500 characters of the last answer."""

    event = serializers.SerializerMethodField()

    class Meta:
        model = Delivery
        fields = (
            "id", "event", "status", "attempts", "due_at", "created_at", "tried_at", "delivered_at", "response_status",
            "response_start", "error", "duration_ms",
        )  # fmt: skip

    @extend_schema(responses=serializers.DictField)
    def get_event(self, delivery: Delivery) -> dict[str, Any]:
        return payload(delivery.event)


class EventTypeSerializer(serializers.Serializer[event_types.EventType]):
    """``example`` is what ``data`` of such an event looks like."""

    name = serializers.CharField()
    description = serializers.CharField()
    example = serializers.DictField()


class WebhookViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[WebhookEndpoint]):
    """List, create, retrieve, change, rotate, test, switch off and on, delete."""

    serializer_class = WebhookSerializer
    pagination_class = NewestFirst
    queryset = WebhookEndpoint.objects.none()

    def get_queryset(self) -> QuerySet[WebhookEndpoint]:
        return WebhookEndpoint.objects.visible_to(self.request.user).select_related("organization")

    @extend_schema(request=NewWebhook, responses={201: IssuedWebhook})
    def create(self, request: Request) -> Response:
        """``POST /api/webhooks``: the answer has the secret, once."""
        terms = valid(NewWebhook(data=request.data))
        organization = organization_of(request, terms.pop("organization"))
        issued = actions.create_endpoint(organization=organization, user=user_of(request), **terms)
        issued.endpoint.refresh_from_db()
        return _shown_once(issued, status.HTTP_201_CREATED)

    @extend_schema(request=WebhookTerms, responses=WebhookSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """``PATCH /api/webhooks/{id}``: what is not named stays."""
        endpoint = self.get_object()
        if not isinstance(request.data, dict):
            raise InvalidRequest("The body is not a JSON object.")
        now = {name: getattr(endpoint, name) for name in WebhookTerms().get_fields()}
        terms = valid(WebhookTerms(data={**now, **{name: request.data[name] for name in now if name in request.data}}))
        changed = actions.update_endpoint(endpoint=endpoint, user=user_of(request), **terms)
        return Response(WebhookSerializer(changed).data)

    def destroy(self, request: Request, pk: str) -> Response:
        """``DELETE /api/webhooks/{id}``: with its log."""
        actions.delete_endpoint(endpoint=self.get_object(), user=user_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=IssuedWebhook)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """A new secret; for 24 hours the old one signs besides it."""
        return _shown_once(actions.rotate_secret(endpoint=self.get_object(), user=user_of(request)), status.HTTP_200_OK)

    @extend_schema(request=None, responses=WebhookSerializer)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, pk: str) -> Response:
        actions.enable_endpoint(endpoint=self.get_object(), user=user_of(request))
        return Response(WebhookSerializer(self.get_object()).data)

    @extend_schema(request=None, responses=WebhookSerializer)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, pk: str) -> Response:
        actions.disable_endpoint(endpoint=self.get_object(), user=user_of(request))
        return Response(WebhookSerializer(self.get_object()).data)

    @extend_schema(request=None, responses={202: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Sends the event ``webhook.test`` to this webhook alone."""
        delivery = actions.send_test(endpoint=self.get_object(), user=user_of(request))
        return Response(DeliverySerializer(delivery).data, status=status.HTTP_202_ACCEPTED)


class DeliveryViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Delivery]):
    """``/api/webhooks/{webhook}/deliveries``: list, look, send again."""

    serializer_class = DeliverySerializer
    pagination_class = NewestFirst
    queryset = Delivery.objects.none()

    def get_queryset(self) -> QuerySet[Delivery]:
        endpoints = WebhookEndpoint.objects.visible_to(self.request.user).filter(pk=self.kwargs["webhook"])
        if not endpoints.exists():
            raise NotFound("There is no such webhook.")
        return Delivery.objects.filter(endpoint__in=endpoints).select_related("event", "endpoint__organization")

    @extend_schema(request=None, responses={202: DeliverySerializer})
    def again(self, request: Request, webhook: int, pk: int) -> Response:
        """Sends it again, under the same id."""
        actions.redeliver(delivery=self.get_object(), user=user_of(request))
        return Response(DeliverySerializer(self.get_object()).data, status=status.HTTP_202_ACCEPTED)


class EventTypeViews(viewsets.GenericViewSet[Any]):
    """``/api/webhooks/event-types``: what a webhook can be told of."""

    serializer_class = EventTypeSerializer
    queryset = WebhookEndpoint.objects.none()
    pagination_class = None

    @extend_schema(responses=EventTypeSerializer(many=True))
    def list(self, request: Request) -> Response:
        return Response([EventTypeSerializer(each).data for each in event_types.choosable()])


def _shown_once(issued: actions.IssuedEndpoint, http_status: int) -> Response:
    return Response({**WebhookSerializer(issued.endpoint).data, "secret": issued.secret}, status=http_status)
