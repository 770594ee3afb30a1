from django.urls import path

from myagent_site.health import health

urlpatterns = [path("health", health)]
