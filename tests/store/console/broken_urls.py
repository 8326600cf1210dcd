"""The store's addresses, and one of a page that breaks."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from store.urls import urlpatterns as addresses


def broken(_request: HttpRequest) -> HttpResponse:
    raise RuntimeError("this page is broken")


urlpatterns = [path("broken", broken), *addresses]
