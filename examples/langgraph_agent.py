"""A LangGraph agent: a graph of a model and its tools.

Run it with: scripts/server examples/langgraph_agent.py --python .venv-agent/bin/python

LangGraph has an environment of its own, as docs/agents.md shows. Ask 'What is the
weather in Tokyo?', then 'And in Paris?'. It needs OPENAI_API_KEY; OPENAI_BASE_URL
may name any server with the OpenAI chat API.
"""

import os

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition


@tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"It is sunny in {city}."


model = ChatOpenAI(model=os.environ.get("OPENAI_MODEL", "gpt-4o-mini")).bind_tools([get_weather])


async def think(state: MessagesState):
    return {"messages": await model.ainvoke(state["messages"])}


graph = StateGraph(MessagesState).add_node(think).add_node("tools", ToolNode([get_weather]))
graph.add_edge(START, "think").add_conditional_edges("think", tools_condition)
weather = graph.add_edge("tools", "think").compile()


async def agent(text, history):
    question = {"messages": [*history, {"role": "user", "content": text}]}
    async for piece, at in weather.astream(question, stream_mode="messages"):
        if at["langgraph_node"] == "think":
            yield piece.text


agent.examples = ["What is the weather in Tokyo?", "巴黎天气怎么样？"]
