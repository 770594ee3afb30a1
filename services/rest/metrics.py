"""`GET /metrics`, for Prometheus."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from services.metrics import exposition
from services.rest.base import View


class MetricsView(View):
    """For whoever may view all services: open on the site's own machine where nobody logs in."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(exposition.text(), content_type=exposition.CONTENT_TYPE)
