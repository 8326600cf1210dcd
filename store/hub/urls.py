from django.urls import re_path

from store.hub import views

REPO = r"(?P<repo>[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+)"
REVISION = r"(?P<revision>[A-Za-z0-9:._-]+)"
PATH = r"(?P<path>[A-Za-z0-9._/-]+)"

urlpatterns = [
    re_path(rf"^api/models/{REPO}$", views.model_info),
    re_path(rf"^api/models/{REPO}/revision/{REVISION}$", views.model_info),
    re_path(rf"^api/models/{REPO}/tree/{REVISION}/?$", views.tree),
    re_path(rf"^{REPO}/resolve/{REVISION}/{PATH}$", views.resolve),
]
