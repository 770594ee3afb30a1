"""The paths of traces."""

from __future__ import annotations

from django.urls import path

from services.rest.traces import reading, running

urlpatterns = [
    path("v1/traces", reading.TracesView.as_view()),
    path("v1/traces/stats", reading.StatsView.as_view()),
    path("v1/traces/<str:id>", reading.TraceView.as_view()),
    path("v1/traces/<str:id>/spans", reading.SpansView.as_view()),
    path("v1/traces/<str:id>/rerun", running.RerunView.as_view()),
]
