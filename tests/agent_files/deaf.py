"""An agent whose model's server is not there."""

from myagent import create_react_agent
from myagent.models import OpenAIModel

NOBODY = "http://127.0.0.1:9/v1"

agent = create_react_agent(
    name="deaf", model=OpenAIModel("none", api_key="sk-secret", base_url=NOBODY, max_retries=0)
)
