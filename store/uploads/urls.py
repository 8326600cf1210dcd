"""Where uploads begin and are listed. Links to a single upload never come here: see store.uploads.asgi."""

from django.urls import URLPattern, path

from store.uploads import views

urlpatterns: list[URLPattern] = [
    path("uploads", views.NewUpload.as_view(), name="uploads"),
    path("uploads/mine", views.MyUploads.as_view(), name="uploads-mine"),
    path("uploads/known", views.KnownContent.as_view(), name="uploads-known"),
]
