"""The body of a request to a chat model, joined from parts that are JSON already. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence

from myagent import exact_json, fast_json
from myagent.messages import ChatMessage
from myagent.models import outgoing
from myagent.models.base import NoMoreTools, ToolSpec

_MAX_TOOL_SETS = 64

OPTIONAL = ("stream_options", "tool_choice")
"""Fields that a server may refuse, and that a request can do without."""

_NO_TOOLS: tuple[ToolSpec, ...] = ()


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
        origin: str = "",
        without: Collection[str] = (),
    ) -> bytes:
        """The body of a streaming request, which asks for the usage at the end.

        `origin`: see `Reasoning`. `without`: fields of `OPTIONAL` to leave out.
        """
        parts = [self._head]
        if "stream_options" not in without:
            parts.append(b'"stream_options":{"include_usage":true},')
        declared = tools or _declared(messages, tools)
        if declared:
            parts.append(self._tools_json(declared))
            if not tools and "tool_choice" not in without:
                parts.append(b'"tool_choice":"none",')
        names = frozenset(spec.name for spec in declared)
        parts += [b'"messages":[', outgoing.encoded(messages, names, origin), b"]}"]
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


def _declared(messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]) -> Sequence[ToolSpec]:
    """The tools to declare in a request that offers none: those that its history calls."""
    if not any(message.tool_calls for message in messages):
        return _NO_TOOLS
    offered = tools.offered if isinstance(tools, NoMoreTools) else _NO_TOOLS
    return offered or outgoing.called(messages)
