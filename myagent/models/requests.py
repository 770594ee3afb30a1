"""The body of a request to a chat model, joined from parts that are JSON already. No I/O."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence

from myagent import exact_json, fast_json
from myagent.messages import ChatMessage
from myagent.models.base import ToolSpec
from myagent.models.surrogates import replace_lone_surrogates

_MAX_TOOL_SETS = 64


class RequestEncoder:
    """Writes requests for one model.

    The tools of an agent are encoded once; the last 64 sets of them are kept.
    """

    def __init__(self, model: str) -> None:
        self._head = b'{"model":%b,"stream":true,' % fast_json.dumps(model)
        self._tools: OrderedDict[tuple[int, ...], tuple[list[ToolSpec], bytes]] = OrderedDict()

    def encode(
        self,
        messages: Sequence[ChatMessage],
        tools: Sequence[ToolSpec],
        *,
        with_usage: bool,
    ) -> bytes:
        """A streaming request. `with_usage`: the stream is to end with the tokens it took."""
        parts = [self._head]
        if with_usage:
            parts.append(b'"stream_options":{"include_usage":true},')
        if tools:
            parts.append(self._tools_json(tools))
        parts += [b'"messages":[', b",".join(map(_message_json, messages)), b"]}"]
        return b"".join(parts)

    def _tools_json(self, tools: Sequence[ToolSpec]) -> bytes:
        # The specs are kept with their JSON, so that no other object gets their ids.
        key = tuple(map(id, tools))
        if key in self._tools:
            self._tools.move_to_end(key)
        else:
            encoded = b'"tools":%b,' % exact_json.encode([tool.to_dict() for tool in tools])
            self._tools[key] = (list(tools), encoded)
            if len(self._tools) > _MAX_TOOL_SETS:
                self._tools.popitem(last=False)
        return self._tools[key][1]


def _message_json(message: ChatMessage) -> bytes:
    try:
        return message.json
    except TypeError:
        # A lone surrogate, say from a file's name, can't be sent.
        return replace_lone_surrogates(json.dumps(message.to_dict()).encode())
