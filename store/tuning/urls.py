"""What a worker that trains asks of the store; see store.tuning.views."""

from django.urls import URLPattern, path

from store.tuning import views

urlpatterns: list[URLPattern] = [
    path("tuning/data/<str:public_id>", views.data, name="tuning-data"),
    path("tuning/content/<str:sha256>", views.content, name="tuning-content"),
    path("tuning/uploads", views.begin, name="tuning-uploads"),
]
