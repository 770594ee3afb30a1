"""The site as an ASGI application, for daphne, `runserver` or any other ASGI server."""

from __future__ import annotations

import os
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myagent_site.settings")
django.setup()

from django.conf import settings  # noqa: E402 - needs the apps

from agents.runs.standalone import StandaloneWorker  # noqa: E402
from agents.runtime import logs  # noqa: E402
from agents.serving import standalone  # noqa: E402
from myagent_site.application import application_for  # noqa: E402
from services.routing.serving import site_server  # noqa: E402

# The log is the ASGI server's.
logs.hand_over()

if settings.MYAGENT_AGENT:
    _file = Path(settings.MYAGENT_AGENT)
    server = standalone(StandaloneWorker(_file, _file.stem))
else:
    server, _ = site_server()

application = application_for(server)
