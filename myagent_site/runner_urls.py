from django.urls import path, re_path

from myagent_site.health import health
from myagent_site.pages import chat, static_file

urlpatterns = [
    path("", chat),
    path("health", health),
    re_path(r"^static/", static_file),
]
