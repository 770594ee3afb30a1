from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from myagent.messages import ChatMessage
from myagent.models import ChatModel, Completion, OpenAIModel, ToolSpec
from tests.fake_model import FakeModel

Ask = Callable[..., Awaitable[tuple[list[str], Completion]]]


@pytest.fixture
async def fake() -> AsyncIterator[FakeModel]:
    async with FakeModel() as fake:
        yield fake


@pytest.fixture(params=["at first", "later"])
async def model(
    request: pytest.FixtureRequest, fake: FakeModel, ask: Ask
) -> AsyncIterator[OpenAIModel]:
    """Later calls reuse what the openai package made of the first one."""
    model = OpenAIModel("test-model", api_key="secret-key", base_url=fake.base_url)
    if request.param == "later":
        await ask(model, "Is anybody there?")
        fake.requests.clear()
        fake.api_keys.clear()
    yield model
    await model.aclose()


@pytest.fixture
def ask() -> Ask:
    """Asks a model; gives the text pieces and the completion."""

    async def ask(
        model: ChatModel, question: str | list[ChatMessage], tools: tuple[ToolSpec, ...] = ()
    ) -> tuple[list[str], Completion]:
        messages = [ChatMessage("user", question)] if isinstance(question, str) else question
        *pieces, completion = [each async for each in model.stream(messages, tools)]
        assert isinstance(completion, Completion)
        assert all(isinstance(piece, str) for piece in pieces)
        return pieces, completion

    return ask
