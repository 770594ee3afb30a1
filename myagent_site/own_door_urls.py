"""The pages at a service's own port: its chat, and nothing of the site."""

from django.conf import settings
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from myagent_site.health import health
from myagent_site.pages import static_file
from myagent_site.service_pages import chat_at_own_door

urlpatterns = [
    path("", csrf_exempt(chat_at_own_door)),
    path("", include("myagent_site.login")),
    path("health", csrf_exempt(health)),
    re_path(r"^static/", csrf_exempt(static_file)),
]

if settings.MYAGENT_AUTH == "token":
    # The chat page's list of conversations; its views protect themselves from other sites' pages.
    urlpatterns += [path("api/", include("services.rest.conversations.urls"))]

handler400 = "myagent_site.error_pages.bad_request"
handler403 = "myagent_site.error_pages.forbidden"
handler404 = "myagent_site.error_pages.not_found"
handler500 = "myagent_site.error_pages.failed"
