import pytest

from myagent.models import ChatModel, ModelError, OpenAIModel, resolve_model
from myagent.models.offline import OfflineModel
from tests.fake_model import FakeModel

SETTINGS = (
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_API_BASE",
    "OPENAI_MODEL",
    "LLM_MODEL",
    "MYAGENT_MODEL_TIMEOUT_S",
)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


class Parrot:
    async def stream(self, messages, tools):
        yield messages[-1].content


def test_an_object_with_the_protocol_is_taken_as_it_is():
    parrot = Parrot()
    assert resolve_model(parrot) is parrot


@pytest.mark.parametrize("thing", [5, object(), Parrot, {"model": "x"}])
def test_another_object_is_refused_with_a_sentence(thing):
    with pytest.raises(TypeError, match="model must be a model's name or an object with"):
        resolve_model(thing)


@pytest.mark.parametrize("name", [None, "gpt-4o"])
def test_without_key_and_address_the_demo_model_answers(name):
    assert isinstance(resolve_model(name), OfflineModel)


def test_blank_settings_count_as_none(environment):
    environment.setenv("OPENAI_API_KEY", " ")
    environment.setenv("OPENAI_BASE_URL", "")
    assert isinstance(resolve_model(), OfflineModel)


@pytest.mark.parametrize(
    ("settings", "argument", "name"),
    [
        ({}, None, "gpt-4o-mini"),
        ({"LLM_MODEL": "a"}, None, "a"),
        ({"LLM_MODEL": "a", "OPENAI_MODEL": "b"}, None, "b"),
        ({"OPENAI_MODEL": "b"}, "c", "c"),
    ],
)
def test_the_name_is_the_agent_files_own_or_the_environments(environment, settings, argument, name):
    for key, value in {"OPENAI_API_KEY": "k", **settings}.items():
        environment.setenv(key, value)
    model = resolve_model(argument)
    assert isinstance(model, OpenAIModel)
    assert model.model == name


def test_equal_settings_share_one_model(environment):
    environment.setenv("OPENAI_API_KEY", "k")
    first = resolve_model("a")
    assert resolve_model("a") is first
    assert resolve_model("b") is not first
    environment.setenv("OPENAI_API_KEY", "another")
    assert resolve_model("a") is not first


@pytest.mark.parametrize(
    ("setting", "argument", "timeout_s"),
    [(None, None, 300), ("20", None, 20), ("1.5", None, 1.5), ("20", 5, 5), (" ", None, 300)],
)
def test_the_time_without_a_byte_is_a_setting(environment, setting, argument, timeout_s):
    environment.setenv("OPENAI_API_KEY", "k")
    if setting is not None:
        environment.setenv("MYAGENT_MODEL_TIMEOUT_S", setting)
    model = resolve_model(timeout_s=argument)
    assert isinstance(model, OpenAIModel)
    assert (model._timeout_s, model._stall_timeout_s) == (timeout_s, timeout_s)


@pytest.mark.parametrize("setting", ["5min", "0", "-1", "nan", "inf", "1e999"])
def test_a_time_that_is_none_is_a_sentence(environment, setting):
    environment.setenv("OPENAI_API_KEY", "k")
    environment.setenv("MYAGENT_MODEL_TIMEOUT_S", setting)
    with pytest.raises(ModelError, match=f"above 0, not '{setting}'"):
        resolve_model()


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
async def test_a_local_server_needs_no_key(environment, name, ask):
    async with FakeModel() as fake:
        environment.setenv(name, fake.base_url)
        model = resolve_model("some-model")
        assert isinstance(model, ChatModel)
        _, completion = await ask(model, "hello")
        await model.aclose()
    assert completion.text == "Answer to: hello"
    assert fake.requests[0]["model"] == "some-model"
    assert fake.api_keys[0] == "none"
