"""The pages of a server of a single agent. Where nobody logs in, they change nothing."""

from django.conf import settings
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from myagent_site import trace_pages
from myagent_site.health import health
from myagent_site.pages import chat, static_file
from services.rest.metrics import MetricsView

urlpatterns = [
    path("", csrf_exempt(chat)),
    path("", include("myagent_site.login")),
    path("health", csrf_exempt(health)),
    path("metrics", MetricsView.as_view()),
    re_path(r"^traces/?$", csrf_exempt(trace_pages.traces)),
    re_path(r"^traces/compare/?$", csrf_exempt(trace_pages.compare)),
    re_path(r"^traces/(?P<id>[^/]+)/?$", csrf_exempt(trace_pages.trace)),
    # They are only read.
    path("api/", include("services.rest.traces.urls")),
    re_path(r"^static/", csrf_exempt(static_file)),
]

if settings.MYAGENT_AUTH == "token":
    # The chat page's list of conversations; its views protect themselves from other sites' pages.
    urlpatterns += [path("api/", include("services.rest.conversations.urls"))]

handler400 = "myagent_site.error_pages.bad_request"
handler403 = "myagent_site.error_pages.forbidden"
handler404 = "myagent_site.error_pages.not_found"
handler500 = "myagent_site.error_pages.failed"
