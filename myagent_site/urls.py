from django.urls import include, path, re_path

from myagent_site.api_docs import DocsView, SchemaView
from myagent_site.health import health, ready
from myagent_site.pages import chat, static_file

urlpatterns = [
    path("", chat),
    path("health", health),
    path("health/ready", ready),
    re_path(r"^api/schema/?$", SchemaView.as_view(), name="schema"),
    path("docs", DocsView.as_view()),
    path("api/", include("services.rest.urls")),
    re_path(r"^static/", static_file),
]
