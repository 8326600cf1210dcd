"""Where the pages of trainings are: a part of store.console.urls."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path

from store.console.views import tune_data, tuning

JOB = r"tune/(?P<job_id>ftjob-[A-Za-z0-9]+)"

urlpatterns: list[URLPattern] = [
    path("tune", tuning.jobs, name="tune"),
    path("tune/new", tuning.new, name="tune-new"),
    path("tune/new/quote", tuning.quote, name="tune-quote"),
    path("tune/new/file", tune_data.arrived, name="tune-file"),
    path("tune/points", tuning.points, name="tune-points"),
    path("tune/compare", tuning.compare, name="tune-compare"),
    re_path(rf"^{JOB}$", tuning.job, name="tune-job"),
    re_path(rf"^{JOB}\.csv$", tuning.metrics, name="tune-metrics"),
    re_path(rf"^{JOB}/(?P<verb>cancel|pause|resume)$", tuning.change, name="tune-change"),
]
