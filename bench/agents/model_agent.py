"""An agent that only asks its model, as the hand-written baselines do."""

from myagent import create_react_agent

agent = create_react_agent(name="model", system_prompt="You are a helpful assistant.")
