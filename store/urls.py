"""Where everything is: the Hub protocol, uploads, what workers that train ask for, the APIs, accounts, the admin, and the pages, which own the rest."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("store.hub.urls")),
    path("", include("store.uploads.urls")),
    path("", include("store.tuning.urls")),
    path("", include("store.api.urls")),
    path("", include("store.billing.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("", include("store.console.urls")),
]
