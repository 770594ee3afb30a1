import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.models import sse
from myagent.models.sse import EventSplitter, EventTooLongError


def split(*pieces: bytes) -> list[bytes]:
    splitter = EventSplitter()
    events = [data for piece in pieces for data in splitter.feed(piece)]
    return events + list(splitter.close())


STREAM = (
    'data: {"a": 1}\n\n: a comment\n\ndata:{"é": "字"}\r\n\r\nevent: x\ndata: [DONE]\n\n'.encode()
)
EVENTS = [b'{"a": 1}', '{"é": "字"}'.encode(), b"[DONE]"]


FORMS = {
    "as it is": STREAM,
    "LF": STREAM.replace(b"\r\n", b"\n"),
    "CR LF": STREAM.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "CR": STREAM.replace(b"\r\n", b"\n").replace(b"\n", b"\r"),
    "a byte order mark": b"\xef\xbb\xbf" + STREAM,
    "blank lines first": b"\n\r\n \n\n" + STREAM,
    "blanks behind": STREAM.replace(b"\n\n", b"  \n\n"),
    "a padded end": STREAM.replace(b"[DONE]", b"[DONE] "),
    "a bare end": STREAM.replace(b"data: [DONE]", b"[DONE]"),
}


@pytest.mark.parametrize("stream", FORMS.values(), ids=FORMS)
@given(cuts=st.lists(st.integers(0, 100), max_size=12))
def test_events_are_the_same_wherever_the_stream_is_cut(stream, cuts):
    edges = [0, *sorted(at % (len(stream) + 1) for at in cuts), len(stream)]
    assert split(*(stream[a:b] for a, b in pairwise(edges))) == EVENTS
    assert split(*(stream[at : at + 1] for at in range(len(stream)))) == EVENTS


def test_an_event_is_given_as_soon_as_it_is_whole():
    splitter = EventSplitter()
    assert list(splitter.feed(b"data: 1\n")) == []
    assert list(splitter.feed(b"\ndata: 2")) == [b"1"]


def test_data_on_several_lines_is_one_event():
    assert split(b"data: {\ndata: }\n\n") == [b"{\n}"]


def test_a_last_event_without_its_empty_line_counts():
    assert split(b"data: 1\n\ndata: 2") == [b"1", b"2"]


def test_plain_json_is_one_event():
    assert split(b"\n", b'{\n\n"a":', b" 1}\n") == [b'{\n\n"a": 1}\n']
    assert split(b"\xef", b'\xbb\xbf{"a"', b": 1}") == [b'{"a": 1}']
    assert split(b'\n\n{"a": 1}') == split(b"\n", b'\n{"a": 1}') == [b'{"a": 1}']


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"reason": "overloaded"}', {"reason": "overloaded"}),
        (b"overloaded", "overloaded"),
        (b"", "error"),
    ],
)
def test_the_data_of_an_event_named_error_is_an_error(data, told):
    first, second = split(b"event: error\ndata: %b\n\ndata: {}\n\n" % data)
    assert json.loads(first) == {"error": told}
    assert second == b"{}"


def test_an_endless_line_is_refused(monkeypatch):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    with pytest.raises(EventTooLongError):
        split(b"data: " + b"x" * 60, b"x" * 60)


def test_an_endless_event_is_refused(monkeypatch):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    with pytest.raises(EventTooLongError):
        split(*[b"data: xxxxxxxxxx\n"] * 20)


def test_a_long_stream_of_short_events_is_taken(monkeypatch):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    assert len(split(*[b"data: xxxxxxxxxx\n\n"] * 100)) == 100
