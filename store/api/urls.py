"""``/v1`` in OpenAI's shapes, ``/api`` for management, and the call behind the playground."""

from django.urls import URLPattern, URLResolver, include, path

from store.api import playground

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("store.api.v1.urls")),
    path("api/", include("store.api.management.urls")),
    path("playground/<slug:organization>/<slug:slug>/chat", playground.chat, name="playground-chat"),
]
