from django.urls import path, re_path

from store.api.v1 import views

urlpatterns = [
    path("v1/chat/completions", views.chat_completions),
    path("v1/completions", views.completions),
    path("v1/models", views.models),
    path("v1/models/<path:name>", views.model),
    re_path(r"^v1(?:/|$)", views.unknown),
]
