import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.messages import NAMELESS, ToolCall
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


@pytest.mark.parametrize("name", [None, "", " \n"])
def test_a_call_without_a_name_is_of_no_tool(name):
    assert assembled(piece(0, "a", name, "[1]")) == [(NAMELESS, "[1]")]


def test_calls_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(toolcalls, "MAX_CALLS", 2)
    with pytest.raises(ModelError, match="too many"):
        calls_of(*(piece(i, str(i), "f") for i in range(3)))


PARIS, ROME = '{"city": "Paris"}', '{"city": "Rome"}'


def test_later_pieces_under_other_indexes_go_on_with_the_call():
    pieces = [
        piece(0, "a", "f", ""),
        piece(1, arguments='{"city": '),
        piece(2, arguments='"Paris"}'),
    ]
    assert assembled(*pieces) == [("f", PARIS)]
    assert assembled(*pieces, piece(3, "b", "g"), piece(4, arguments="{}")) == [
        ("f", PARIS),
        ("g", "{}"),
    ]


@pytest.mark.parametrize("index", [0, None])
def test_whole_calls_under_one_index_without_ids_are_calls_of_their_own(index):
    pieces = [piece(index, None, *each) for each in (("f", PARIS), ("f", ROME), ("g", "{}"))]
    assert assembled(*pieces) == [("f", PARIS), ("f", ROME), ("g", "{}")]


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([piece(0, "a", "f", PARIS), piece(0, "a", "f", PARIS)], id="by id"),
        pytest.param([piece(0, "a", "f", PARIS), piece(0, arguments=PARIS)], id="by index"),
        pytest.param([piece(name="f", arguments=PARIS)] * 2, id="by name"),
        pytest.param(
            [
                piece(0, "a", "f", PARIS[:5]),
                piece(0, arguments=PARIS[5:]),
                piece(0, "a", "f", PARIS),
            ],
            id="after pieces",
        ),
        pytest.param(
            [piece(0, "a", "f", PARIS[:end]) for end in (1, 5, 9, len(PARIS))], id="ever longer"
        ),
    ],
)
def test_arguments_said_again_count_once(pieces):
    assert assembled(*pieces) == [("f", PARIS)]


@pytest.mark.parametrize("first", ["{}", "null", " {} "])
def test_a_first_empty_object_only_holds_the_place(first):
    pieces = [
        piece(0, "a", "f", first),
        piece(0, arguments='{"city": '),
        piece(0, arguments='"Paris"}'),
    ]
    assert assembled(*pieces) == [("f", PARIS)]
    assert assembled(piece(0, "a", "f", first)) in ([("f", "{}")], [("f", first)])
    assert assembled(piece(name="f", arguments=first), piece(name="f", arguments=PARIS)) == [
        ("f", PARIS)
    ]


@pytest.mark.parametrize("last", ["{}", "null", " {} "])
@pytest.mark.parametrize("before", [[PARIS], [PARIS[:5], PARIS[5:]], ["{}", PARIS]])
def test_a_last_empty_object_behind_the_arguments_says_nothing(before, last):
    pieces = [piece(0, "a", "f", before[0]), *(piece(0, "a", None, each) for each in before[1:])]
    assert assembled(*pieces, piece(0, "a", None, last)) == [("f", PARIS)]
    assert assembled(*pieces, piece(0, "a", "f", last), piece(0, "a", "f", "")) == [("f", PARIS)]


def test_an_empty_object_within_the_arguments_is_a_part_of_them():
    parts = ['{"code":"', "{k:1}", "{}", "null", '"}']
    pieces = [piece(0, "a", "f", ""), *(piece(0, arguments=each) for each in parts)]
    assert assembled(*pieces) == [("f", "".join(parts))]


def test_indexes_that_are_text_are_indexes():
    pieces = [
        piece("0", "a", "f", ""),
        piece("1", "b", "f", ""),
        piece("0", arguments='{"city": "Pa'),
        piece("1", arguments='{"city": "Ro'),
        piece("0", arguments='ris"}'),
        piece("1", arguments='me"}'),
    ]
    assert assembled(*pieces) == [("f", PARIS), ("f", ROME)]


def test_an_object_within_the_arguments_is_a_part_of_them():
    pieces = [piece(0, "a", "f", '{"a":'), piece(0, arguments='{"a":1}'), piece(0, arguments="}")]
    assert assembled(*pieces) == [("f", '{"a":{"a":1}}')]


def test_a_name_that_comes_later_is_the_calls():
    assert assembled(piece(0, "a"), piece(0, name="f", arguments=PARIS)) == [("f", PARIS)]


def test_all_calls_told_whole_once_more_count_once():
    assembly = CallAssembly()
    whole = [piece(None, None, "f", PARIS), piece(None, None, "f", ROME)]
    for pieces in (whole[:1], whole[1:], whole):
        assembly.add(pieces)
    assert [call.arguments for call in assembly.finish()] == [PARIS, ROME]


def test_a_piece_without_anything_is_no_call_beside_others():
    assert assembled(piece(0, "a", "f", "{}"), piece(1, "b")) == [("f", "{}")]


NAMES = st.sampled_from(["f", "g", "get_weather"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=4).map(json.dumps)
CALLS = st.lists(st.tuples(NAMES, ARGUMENTS), min_size=1, max_size=4)


def cut(text, cuts):
    edges = [0, *sorted(at % (len(text) + 1) for at in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


@given(CALLS, st.lists(st.integers(0, 200), max_size=9), st.randoms(use_true_random=False))
def test_calls_in_pieces_are_joined_wherever_they_were_cut(calls, cuts, random):
    """As OpenAI sends them, and interleaved so that only the index tells them apart."""
    streams = [
        [piece(n, f"id{n}", name, ""), *(piece(n, arguments=part) for part in cut(arguments, cuts))]
        for n, (name, arguments) in enumerate(calls)
    ]
    heads = [stream[0] for stream in streams]
    rest = [(n, part) for n, stream in enumerate(streams) for part in stream[1:]]
    order = [n for n, _ in rest]
    random.shuffle(order)
    parts = {n: iter([part for m, part in rest if m == n]) for n in range(len(calls))}
    assert assembled(*heads, *(next(parts[n]) for n in order)) == calls
    assert assembled(*(part for stream in streams for part in stream)) == calls


@given(CALLS, st.lists(st.integers(0, 200), max_size=9))
def test_calls_one_after_the_other_need_no_index(calls, cuts):
    pieces = [
        each
        for n, (name, arguments) in enumerate(calls)
        for each in (
            piece(None, f"id{n}", name, ""),
            *(piece(arguments=part) for part in cut(arguments, cuts)),
        )
    ]
    assert assembled(*pieces) == calls


@given(CALLS, st.lists(st.integers(0, 200), max_size=9))
def test_an_index_that_counts_pieces_does_no_harm(calls, cuts):
    pieces = []
    for n, (name, arguments) in enumerate(calls):
        pieces.append(piece(len(pieces), f"id{n}", name, ""))
        for part in cut(arguments, cuts):
            pieces.append(piece(len(pieces), arguments=part))
    assert assembled(*pieces) == calls


@given(CALLS)
def test_whole_calls_with_ids_are_as_many_as_were_sent(calls):
    pieces = [piece(0, f"id{n}", name, arguments) for n, (name, arguments) in enumerate(calls)]
    assert assembled(*pieces) == calls


def test_what_never_ends_is_not_read_again_and_again(monkeypatch):
    monkeypatch.setattr(toolcalls, "MAX_READ_AGAIN", 100)
    calls = calls_of(*[piece(0, None, "f", "[1]}")] * 500)
    assert len(calls) == 1
