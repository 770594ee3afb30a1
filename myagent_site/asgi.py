"""The site as an ASGI application, for `runagent`, daphne or any other ASGI server."""

from __future__ import annotations

import os
from pathlib import Path

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myagent_site.settings")

django_application = get_asgi_application()

from django.conf import settings  # noqa: E402 - needs the settings and the apps

from agents.serving import current_server, standalone, use_server  # noqa: E402
from agents.standalone import StandaloneWorker  # noqa: E402
from myagent_site.bodies import BoundedBodies  # noqa: E402
from myagent_site.guard import Guard  # noqa: E402
from myagent_site.routing import sockets  # noqa: E402
from services.serving import site_server  # noqa: E402

# Under a plain ASGI server nobody else says what is to be served.
if current_server() is None:
    if settings.MYAGENT_AGENT:
        _file = Path(settings.MYAGENT_AGENT)
        use_server(standalone(StandaloneWorker(_file, _file.stem)))
    else:
        use_server(site_server()[0])

application = Guard(
    ProtocolTypeRouter({"http": BoundedBodies(django_application), "websocket": sockets})
)
