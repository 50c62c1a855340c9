"""JSON-RPC messages of an upstream: what is one, and which request it belongs to."""

import pytest

from mcpgov.messages import (
    answers,
    error_code,
    exact,
    is_response,
    mapping,
    may_answer,
    message_in,
    outline,
    parse_message,
    progress_of,
    token_of,
)
from mcpgov.models import Event, Json

NO_MESSAGES = (
    *(b"", b"{", b"null", b"[]", b'"x"', b"{}", b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"1.0","result":1,"id":1}'),
    *(b'\xef\xbb\xbf{"jsonrpc":"2.0","method":"x"}', b'{"jsonrpc":"2.0","method":"\xff"}', b"[" * 100_000),
    *(b'[{"jsonrpc":"2.0","id":1,"result":{}}]', b'{"jsonrpc":"2.0","id":1,"result":NaN}'),
    '{"jsonrpc":"2.0","method":"x"}'.encode("utf-16"),
)


@pytest.mark.parametrize("text", NO_MESSAGES, ids=lambda text: repr(text[:40]))
def test_what_is_no_message_is_none(text: bytes) -> None:
    assert parse_message(text) is None


def test_a_message_is_an_object_of_version_2_with_a_method_a_result_or_an_error() -> None:
    for text in (b'{"jsonrpc":"2.0","method":"x"}', b'{"jsonrpc":"2.0","result":null}', b'{"jsonrpc":"2.0","error":1}'):
        assert parse_message(text) is not None


DEEP = b"[" * 100_000 + b"]" * 100_000
OUTLINES: list[tuple[bytes, dict[str, Json]]] = [
    (b'{"jsonrpc":"2.0","id":7,"result":{"x":%b}}\r', {"jsonrpc": "2.0", "id": 7, "result": None}),
    (b' {"result":%b,"jsonrpc":"2.0","id":"7"}', {"jsonrpc": "2.0", "id": "7", "result": None}),
    (b'{"jsonrpc":"2.0","id":7,"error":{"code":NaN,"data":%b}}', {"jsonrpc": "2.0", "id": 7, "error": None}),
    (b'{"jsonrpc":"2.0","id":7,"method":"x","params":%b}', {}),
    (b'{"x":%b,"jsonrpc":"2.0","id":7,"result":[]}', {}),
    (b"%b", {}),
    (b'{"a":%b', {}),
]


@pytest.mark.parametrize(("around", "seen"), OUTLINES)
def test_an_answer_that_cannot_be_read_still_says_to_which_request(around: bytes, seen: dict[str, Json]) -> None:
    text = around % DEEP
    assert parse_message(text) is None
    assert outline(text) == seen


def test_a_text_with_nothing_inside_has_no_outline() -> None:
    for text in NO_MESSAGES:
        assert b"NaN" in text or outline(text) == {}


def test_an_answer_with_a_number_that_is_none_still_says_to_which_request() -> None:
    assert outline(b'{"jsonrpc":"2.0","id":1,"result":NaN}')["id"] == 1


RESPONSES: list[tuple[dict[str, Json], str | int, bool]] = [
    ({"id": 1, "result": {}}, 1, True),
    ({"id": "1", "result": {}}, 1, False),
    ({"id": 1, "result": {}}, "1", False),
    ({"id": True, "result": {}}, 1, False),
    ({"id": None, "error": {}}, 1, True),
    ({"id": None, "result": {}}, 1, False),
    ({"id": 2, "error": {}}, 1, False),
    ({"id": 1, "method": "x", "result": {}}, 1, False),
]


@pytest.mark.parametrize(("message", "request_id", "answered"), RESPONSES)
def test_a_response_answers_the_request_with_exactly_its_id(
    message: dict[str, Json], request_id: str | int, *, answered: bool
) -> None:
    assert answers(message, request_id) is answered


def test_all_but_a_plain_request_or_notification_may_be_taken_for_an_answer() -> None:
    assert not may_answer({"method": "x"})
    assert not may_answer({"method": "x", "id": 7})
    assert may_answer(None)
    assert may_answer({"method": "", "id": 7})
    for key in ("result", "error"):
        assert may_answer({key: None, "id": 8})
        assert may_answer({key: None, "method": "x"})


def test_a_message_with_a_method_is_no_response() -> None:
    assert is_response({"result": 1})
    assert is_response({"error": 1})
    assert not is_response({"method": "x", "result": 1})


def test_ids_and_tokens_compare_by_type_and_value() -> None:
    assert exact(1) == exact(1.0) != exact("1")
    neither: list[Json] = [None, True, [1], {}]
    assert [exact(value) for value in neither] == [None] * 4


def test_tokens_codes_and_objects_are_found_where_they_are_and_nowhere_else() -> None:
    assert token_of({"_meta": {"progressToken": "t"}}) == ("string", "t")
    assert token_of({"_meta": []}) is None
    progress: dict[str, Json] = {"method": "notifications/progress", "params": {"progressToken": 3}}
    assert progress_of(progress) == ("number", 3)
    assert progress_of({"method": "notifications/message", "params": {"progressToken": 3}}) is None
    assert error_code({"error": {"code": -32601}}) == -32601
    assert error_code({"error": "no"}) is None
    assert mapping(None) == {}


NOT_EXACT = (
    *(
        b'{"jsonrpc":"2.0","id":1,"result":{},"%s":1}' % key
        for key in (b"Id", b"RESULT", b"method\\u0000", b" id", b"i\\u200bd")
    ),
    *(b'{"jsonrpc":"2.0","id":1,"result":{"%s":1}}' % key for key in (b"IsError", b"toolS", b"_META", b"nextcursor")),
    *(
        b'{"jsonrpc":"2.0","method":"x","params":{"%s":1}}' % key
        for key in (b"URL", b"RequestId", b"\\ud835\\udcc1evel")
    ),
    b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"Message":""}}',
    b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","Name":"b"}]}}',
    b'{"jsonrpc":"2.0","id":1,"result":{"tools":[],"prompts":[1,{"\\u1d3fole":"a"}]}}',
)


@pytest.mark.parametrize("text", NOT_EXACT)
def test_a_message_with_a_key_that_looks_like_one_that_clients_act_on_is_none(text: bytes) -> None:
    assert parse_message(text) is None


def test_what_is_a_servers_own_may_have_any_key() -> None:
    text = b"""{"jsonrpc":"2.0","id":1,"x-own":1,"result":{"X":1,"is_error":1,"structuredContent":{"Content":1,"ID":2},
        "_meta":{"Tools":[]},"tools":[{"name":"a","inputSchema":{"Name":1},"x-name":1,"\xc3\xa9tat":1}],"content":"text"}}"""
    assert parse_message(text) is not None


@pytest.mark.parametrize("event", [Event(b":\n\n"), Event(b"{", b"{")])
def test_an_event_without_a_message_has_none(event: Event) -> None:
    assert message_in(event) is None


def test_the_message_of_an_event_is_what_was_read_there() -> None:
    read: dict[str, Json] = {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert message_in(Event(b"", b"", read)) is read
    assert message_in(Event(b"", b'{"jsonrpc":"2.0","id":1,"result":{}}')) == read
