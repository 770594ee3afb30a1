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


@pytest.fixture
async def model(fake: FakeModel) -> AsyncIterator[OpenAIModel]:
    model = OpenAIModel("test-model", api_key="secret-key", base_url=fake.base_url)
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
