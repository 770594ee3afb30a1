"""The dialect and the service of each path."""

from __future__ import annotations

from typing import Any

from channels.routing import URLRouter
from django.urls import re_path

from agents.sockets.chat.consumer import ChatConsumer
from agents.sockets.events import EventsConsumer
from agents.sockets.external.door import EventsDoor
from agents.sockets.handshake import Refusal, Scope
from myagent.protocol import CloseCode
from myagent_site.access import LocalOrKnown
from traces.sockets.label import LabelConsumer
from traces.sockets.watching import WatchingConsumer

watching: Any = LocalOrKnown(WatchingConsumer.as_asgi())


class NowhereConsumer(EventsConsumer):
    """Tells a socket that nothing is served at its path."""

    def refusal(self, scope: Scope) -> Refusal | None:
        return Refusal(CloseCode.NO_SUCH_SERVICE, "no_service")


websocket_urlpatterns = [
    re_path(r"^(?:ws/?)?$", EventsDoor.as_asgi()),
    re_path(r"^services/(?P<service>[^/]+)/?$", EventsDoor.as_asgi()),
    # A slash inside the user's id is encoded, but the path is decoded.
    re_path(
        r"^(?:services/(?P<service>[^/]+)/)?ws/chat/(?P<user_id>(?s:.*))$", ChatConsumer.as_asgi()
    ),
    re_path(
        r"^(?:services/(?P<service>[^/]+)/)?ws/traces/?$",
        watching,
    ),
    re_path(
        r"^(?:services/(?P<service>[^/]+)/)?ws/(?!(?:chat|traces)/?$)(?P<label>[^/]+)/?$",
        LabelConsumer.as_asgi(),
    ),
    re_path(r"", NowhereConsumer.as_asgi()),
]

sockets = URLRouter(websocket_urlpatterns)
