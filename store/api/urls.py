"""``/v1`` in OpenAI's shapes, ``/api`` for management, and the call behind the playground."""

from django.urls import URLPattern, URLResolver, include, path
from rest_framework.routers import SimpleRouter

from store.api import playground
from store.api.management.keys import KeyViewSet
from store.api.management.listings import ListingViewSet
from store.api.management.runs import RunViewSet
from store.api.management.wallet import WalletView

router = SimpleRouter(trailing_slash=False)
router.register("keys", KeyViewSet, basename="api-key")
router.register("runs", RunViewSet, basename="api-run")
router.register("listings", ListingViewSet, basename="api-listing")

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("store.api.v1.urls")),
    path("api/", include(router.urls)),
    path("api/wallet", WalletView.as_view(), name="api-wallet"),
    path("playground/<slug:organization>/<slug:slug>/chat", playground.chat, name="playground-chat"),
]
