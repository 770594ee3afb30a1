"""The pages of a server without sockets: where a chat would be, it says where to go instead."""

from django.urls import re_path

from myagent_site.service_pages import no_chat_here
from myagent_site.urls import handler400, handler403, handler404, handler500
from myagent_site.urls import urlpatterns as of_site

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns = [
    re_path(r"^services/(?P<name>[^/]+)/?$", no_chat_here),
    *of_site,
]
