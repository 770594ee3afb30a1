"""The paths of `/api/v1`."""

from __future__ import annotations

from django.urls import include, path, re_path
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from services.rest import connections, controlling, routing, tokens, views, watching
from services.rest.base import View

ONE = "services/<str:id>"


@extend_schema(exclude=True)
class NothingView(View):
    """Any other path."""

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        raise NotFound


urlpatterns = [
    re_path(r"^v1/?$", watching.ResourcesView.as_view()),
    path("v1/info", watching.InfoView.as_view()),
    path("v1/stats", watching.StatsView.as_view()),
    path("", include("services.rest.conversations.urls")),
    path("", include("services.rest.traces.urls")),
    path("v1/services", views.ServicesView.as_view()),
    path(f"v1/{ONE}", views.ServiceView.as_view(), name="service"),
    path(f"v1/{ONE}/start", controlling.StartView.as_view()),
    path(f"v1/{ONE}/stop", controlling.StopView.as_view()),
    path(f"v1/{ONE}/restart", controlling.RestartView.as_view()),
    path(f"v1/{ONE}/stats", watching.ServiceStatsView.as_view()),
    path(f"v1/{ONE}/health", watching.ServiceHealthView.as_view()),
    path(f"v1/{ONE}/instances", watching.InstancesView.as_view()),
    path(f"v1/{ONE}/logs", watching.LogsView.as_view()),
    path("v1/routing/rules", routing.RulesView.as_view()),
    path("v1/routing/rules/<str:id>", routing.RuleView.as_view(), name="rule"),
    path("v1/routing/explain", routing.ExplainView.as_view()),
    path("v1/tokens", tokens.TokensView.as_view()),
    path("v1/tokens/<str:id>", tokens.TokenView.as_view()),
    path("v1/connections", connections.ConnectionsView.as_view()),
    path("v1/connections/<str:id>", connections.ConnectionView.as_view()),
    re_path("", NothingView.as_view()),
]
