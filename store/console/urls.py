"""Where the pages are. A listing is at its name, so this comes last of all addresses, and its own last line catches the rest."""

from __future__ import annotations

from django.urls import path

from store.console.views import catalog, home, keys, listing, provider, settings, usage, wallet

app_name = "console"
urlpatterns = [
    path("", home.home, name="home"),
    path("models", catalog.models, name="models"),
    path("keys", keys.keys, name="keys"),
    path("keys/new", keys.new_key, name="key-new"),
    path("keys/<int:pk>", keys.key, name="key"),
    path("keys/<int:pk>/rotate", keys.rotate, name="key-rotate"),
    path("keys/<int:pk>/revoke", keys.revoke, name="key-revoke"),
    path("usage", usage.usage, name="usage"),
    path("usage/<uuid:run_id>", usage.run, name="run"),
    path("wallet", wallet.wallet, name="wallet"),
    path("wallet/top-up", wallet.top_up, name="top-up"),
    path("provider", provider.provider, name="provider"),
    path("settings", settings.settings, name="settings"),
    path("organizations/<int:pk>/switch", settings.switch, name="switch"),
    path("<slug:organization>/<slug:slug>", listing.listing, name="listing"),
]
