"""An agent of the OpenAI Agents SDK, which keeps its own loop, tools and handoffs.

Run it with: scripts/server examples/openai_agents_sdk.py --python .venv-agent/bin/python

The SDK has an environment of its own, as docs/agents.md shows. Ask 'What is the
weather in Tokyo?', then 'And in Paris?'. It needs OPENAI_API_KEY; OPENAI_BASE_URL
may name any server with the OpenAI chat API.
"""

import os

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from openai.types.responses import ResponseTextDeltaEvent as TextDelta

set_tracing_disabled(True)  # tracing would send a copy of each conversation to OpenAI


@function_tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"It is sunny in {city}."


model = OpenAIChatCompletionsModel(os.environ.get("OPENAI_MODEL", "gpt-4o-mini"), AsyncOpenAI())
assistant = Agent("weather", instructions="You know the weather.", model=model, tools=[get_weather])


async def agent(text, history):
    result = Runner.run_streamed(assistant, [*history, {"role": "user", "content": text}])
    try:
        async for event in result.stream_events():
            if event.type == "raw_response_event" and isinstance(event.data, TextDelta):
                yield event.data.delta
    finally:
        result.cancel()  # a question that is cancelled here ends there as well


agent.examples = ["What is the weather in Tokyo?", "巴黎天气怎么样？"]
