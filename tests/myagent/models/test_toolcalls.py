import pytest

from myagent.messages import ToolCall
from myagent.models import toolcalls
from myagent.models.base import ModelError
from myagent.models.toolcalls import CallAssembly


def piece(index=None, id=None, name=None, arguments=None):
    function = {"name": name, "arguments": arguments}
    return {
        **({} if index is None else {"index": index}),
        **({} if id is None else {"id": id}),
        "function": {key: value for key, value in function.items() if value is not None},
    }


def assembled(*pieces) -> list[tuple[str, str]]:
    return [(call.name, call.arguments) for call in calls_of(*pieces)]


def calls_of(*pieces) -> tuple[ToolCall, ...]:
    assembly = CallAssembly()
    for each in pieces:
        assembly.add([each])
    return assembly.finish()


def test_interleaved_pieces_go_to_the_call_of_their_index():
    calls = calls_of(
        piece(0, "a", "f", ""),
        piece(1, "b", "g", ""),
        piece(0, arguments='{"x"'),
        piece(1, arguments="{}"),
        piece(0, arguments=": 1}"),
    )
    assert calls == (ToolCall("a", "f", '{"x": 1}'), ToolCall("b", "g", "{}"))


def test_pieces_without_an_index_continue_the_last_call():
    pieces = [piece(id="a", name="f"), piece(arguments="[1"), piece(id="a", arguments="]")]
    assert assembled(*pieces, piece(id="b", name="g")) == [("f", "[1]"), ("g", "{}")]


def test_whole_calls_without_index_and_id_are_calls_of_their_own():
    calls = calls_of(piece(name="f", arguments="[1]"), piece(name="f", arguments="[2]"))
    assert [call.arguments for call in calls] == ["[1]", "[2]"]
    assert len({call.id for call in calls}) == 2


def test_whole_calls_that_all_have_index_0_are_calls_of_their_own():
    pieces = [piece(0, "a", "f", "[1]"), piece(0, "b", "f", "[2]")]
    assert assembled(*pieces) == [("f", "[1]"), ("f", "[2]")]


def test_a_repeated_name_is_the_same_call():
    pieces = [piece(0, "a", "f", "[1"), piece(0, "a", "f", ",2]")]
    assert assembled(*pieces) == [("f", "[1,2]")]


def test_an_id_that_changes_with_each_piece_is_the_same_call():
    pieces = [piece(0, "a", "f", "[1"), piece(0, "b", arguments=",2]")]
    assert assembled(*pieces) == [("f", "[1,2]")]
    assert assembled(piece(id="a", name="f"), piece(id="b", arguments="[]")) == [("f", "[]")]


def test_malformed_arguments_stay_as_they_are():
    assert assembled(piece(0, "a", "f", '{"x": ')) == [("f", '{"x": ')]


def test_arguments_given_as_an_object_become_text():
    assert assembled(piece(0, "a", "f", {"x": 1})) == [("f", '{"x":1}')]


def test_no_arguments_are_an_empty_object():
    assert assembled(piece(0, "a", "f", " ")) == [("f", "{}")]


def test_equal_ids_are_told_apart():
    calls = calls_of(piece(0, "a", "f"), piece(1, "a", "g"))
    assert len({call.id for call in calls}) == 2


def test_a_call_without_a_name_is_a_model_error():
    with pytest.raises(ModelError, match="without a name") as caught:
        calls_of(piece(0, "a", arguments="{}"))
    assert caught.value.is_retryable


def test_calls_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(toolcalls, "MAX_CALLS", 2)
    with pytest.raises(ModelError, match="too many"):
        calls_of(*(piece(i, str(i), "f") for i in range(3)))
