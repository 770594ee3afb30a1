"""What a server of one agent file prints when it is ready: what was loaded, and its address."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext

from agents.terminal.inert import one_line
from myagent.models import base
from myagent.worker.protocol import AgentInfo

MARKS = ("🔍", "✅", "🚀", "📈")
"""One mark for each line, printed where a person reads the output."""

MOST_TOOLS = 8


def greeting(
    service: str,
    url: str,
    file: str,
    agent: AgentInfo | None,
    *,
    is_marked: bool,
    has_traces: bool = False,
) -> str:
    """Three lines in the active language, and one more if there is a page of traces.

    `url`: of sockets; pages have the same address.
    """
    page = url.replace("ws://", "http://", 1)
    lines = [
        gettext("Loaded {file}: agent {name}").format(
            file=one_line(file), name=one_line(agent.name if agent else service)
        ),
        _abilities(agent or AgentInfo("")),
        gettext("{service} is ready at {url} (chat page: {page})").format(
            service=service, url=url, page=page
        ),
    ]
    if has_traces:
        lines.append(gettext("Traces: {page}").format(page=f"{page}traces/"))
    marked = zip(MARKS, lines, strict=False)
    return "\n".join(f"{mark} {line}" for mark, line in marked) if is_marked else "\n".join(lines)


def _abilities(agent: AgentInfo) -> str:
    tools = _tools([tool.name for tool in agent.tools])
    match agent.model:
        case "":
            return tools
        case base.OFFLINE:
            model = gettext("offline demo (set OPENAI_API_KEY for a real one)")
        case name:
            model = one_line(name)
    return gettext("{tools}; model: {model}").format(tools=tools, model=model)


def _tools(names: Sequence[str]) -> str:
    if not names:
        return gettext("No tools")
    shown = ", ".join(one_line(name, 60) for name in names[:MOST_TOOLS])
    if len(names) > MOST_TOOLS:
        more = gettext("{names} and {count} more")
        shown = more.format(names=shown, count=len(names) - MOST_TOOLS)
    return gettext("Tools: {names}").format(names=shown)
