from django.urls import path, re_path

from store.api.v1 import files, fine_tuning, uploads, views
from store.api.v1.embeddings import embeddings

urlpatterns = [
    path("v1/chat/completions", views.chat_completions),
    path("v1/completions", views.completions),
    path("v1/embeddings", embeddings),
    path("v1/models", views.models),
    path("v1/models/<path:name>", views.model),
    path("v1/fine_tuning/jobs", fine_tuning.jobs),
    path("v1/fine_tuning/jobs/<str:job_id>", fine_tuning.job),
    path("v1/fine_tuning/jobs/<str:job_id>/cancel", fine_tuning.cancel),
    path("v1/fine_tuning/jobs/<str:job_id>/pause", fine_tuning.pause),
    path("v1/fine_tuning/jobs/<str:job_id>/resume", fine_tuning.resume),
    path("v1/fine_tuning/jobs/<str:job_id>/events", fine_tuning.events),
    path("v1/fine_tuning/jobs/<str:job_id>/checkpoints", fine_tuning.checkpoints),
    path("v1/files", files.files),
    path("v1/files/<str:file_id>", files.file),
    path("v1/files/<str:file_id>/content", files.content),
    path("v1/uploads", uploads.uploads),
    path("v1/uploads/<str:upload_id>/parts", uploads.parts),
    path("v1/uploads/<str:upload_id>/complete", uploads.complete),
    path("v1/uploads/<str:upload_id>/cancel", uploads.cancel),
    re_path(r"^v1(?:/|$)", views.unknown),
]
