from django.contrib import admin
from django.urls import include, path, re_path

from agents.runtime.base_path import address
from myagent_site import console, service_pages, trace_pages
from myagent_site.admin_pages import ADMIN
from myagent_site.api_docs import DocsView, SchemaView
from myagent_site.health import health, ready
from myagent_site.home import home, to_home
from myagent_site.pages import static_file
from services.rest.metrics import MetricsView

admin.autodiscover()
admin.site.site_header = admin.site.site_title = "MyAgent Site"
admin.site.site_url = address("/")
admin.site.enable_nav_sidebar = False

urlpatterns = [
    path("", home),
    path("", include("myagent_site.login")),
    re_path(r"^services/?$", to_home),
    path("services/<str:name>/", service_pages.chat),
    path("services/<str:name>", service_pages.with_slash),
    re_path(r"^console/?$", console.page),
    path("console/events", console.events),
    path("console/history", console.history),
    re_path(r"^traces/?$", trace_pages.traces),
    re_path(r"^traces/compare/?$", trace_pages.compare),
    re_path(r"^traces/(?P<id>[^/]+)/?$", trace_pages.trace),
    path("health", health),
    path("health/ready", ready),
    path("metrics", MetricsView.as_view()),
    re_path(r"^api/schema/?$", SchemaView.as_view(), name="schema"),
    re_path(r"^docs/?$", DocsView.as_view()),
    path("api/", include("services.rest.urls")),
    path(ADMIN, admin.site.urls),
    re_path(r"^static/", static_file),
]

handler400 = "myagent_site.error_pages.bad_request"
handler403 = "myagent_site.error_pages.forbidden"
handler404 = "myagent_site.error_pages.not_found"
handler500 = "myagent_site.error_pages.failed"
