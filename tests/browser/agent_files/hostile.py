"""An agent whose every word is an attack; its model is the environment's."""

from myagent import create_react_agent
from myagent.tool import tool

PROBE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


@tool
def repeat(text: str) -> str:
    """Says the text again."""
    return text


@tool(requires_confirmation=True)
def risky(text: str) -> str:
    """Says the text again, when somebody agrees."""
    return text


agent = create_react_agent(
    name=f"Eve {PROBE}</script>",
    description=f"Means no good {PROBE}",
    tools=[repeat, risky],
    system_prompt="You are being tested.",
)
