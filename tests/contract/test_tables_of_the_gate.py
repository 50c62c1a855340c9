"""The tables of the gate, word for word: a word that is lost from one of them opens what it kept shut."""

import pytest

from mcpgov.decision import Reason
from mcpgov.endpoint.inbound import CONSENT_KEY, is_disguised, parse_request
from mcpgov.errors import Refusal
from mcpgov.models import Json
from mcpgov.strict_json import JsonLimits, dumps, measure, parse
from tests.endpoint.messages import LIMITS, call, head, post, refused, request, with_key

PARAMS = """
    name uri arguments _meta taskId task cursor requestState inputResponses protocolVersion capabilities clientInfo
    requestId progressToken ref argument level
"""
META = """
    io.modelcontextprotocol/protocolVersion io.modelcontextprotocol/clientCapabilities
    io.modelcontextprotocol/clientInfo io.modelcontextprotocol/logLevel progressToken traceparent tracestate baggage
"""
ONCE = """
    host content-type content-length transfer-encoding authorization origin mcp-session-id last-event-id traceparent
"""
OURS = """
    content-type content-length transfer-encoding mcp-session-id last-event-id x-real-ip proxy-authorization
    content-encoding x-correlation-id x-ms-correlation-id x-request-id mcp-anything x-forwarded-anything
"""
RESERVED = [("params", key) for key in PARAMS.split()] + [("meta", key) for key in META.split()]
ASKED: dict[str, Json] = {"github": {"action": "accept"}}


@pytest.mark.parametrize(("level", "key"), RESERVED)
def test_a_reserved_key_has_one_spelling(level: str, key: str) -> None:
    assert refused(with_key(level, key.upper())).reason is Reason.AMBIGUOUS_KEY


@pytest.mark.parametrize("name", ONCE.split())
def test_a_header_that_counts_stands_once(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_request(head(((name, "a"), (name, "a")), "GET"), b"", LIMITS)
    assert (caught.value.reason, name in caught.value.message) == (Reason.HEADER_INVALID, True)


@pytest.mark.parametrize("name", OURS.split())
def test_a_header_of_ours_has_one_spelling(name: str) -> None:
    assert is_disguised(name.replace("-", "_")) is True
    assert is_disguised(name) is False


def test_a_header_that_callers_are_read_by_has_one_spelling_too() -> None:
    assert is_disguised("x_own_key", ("x-own-key",)) is True
    assert is_disguised("x_own_key", ("x-other-key",)) is False


def test_a_tools_name_has_128_characters_at_most() -> None:
    assert len(post(call("x" * 128)).tool) == 128
    assert refused(call("x" * 129)).reason is Reason.INVALID_MESSAGE
    assert refused(call("get\ncity")).reason is Reason.INVALID_MESSAGE


def test_no_content_encoding_is_written_in_three_ways() -> None:
    for written in ("", " ", "\tidentity "):
        assert post(call(), {"content-encoding": written}).tool == "echo"


def test_what_we_asked_ourselves_does_not_cross() -> None:
    message = request("tools/call", name="echo", arguments={}, inputResponses={CONSENT_KEY: {"action": "accept"}})
    fields = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "echo"}
    meta: Json = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    rest: dict[str, Json] = {"name": "echo", "arguments": {}, "_meta": meta}
    for responses, kept in (
        ({"io.github.mcpgov/consent": {"action": "accept"}}, rest),
        ({"io.github.mcpgov/consent": {}, **ASKED}, rest | {"inputResponses": ASKED}),
        (ASKED, rest | {"inputResponses": ASKED}),
        ("accept", rest | {"inputResponses": "accept"}),
    ):
        found = post(message | {"params": rest | {"inputResponses": responses}}, fields)
        assert found.params == kept
        assert found.body == dumps(message | {"params": kept})


def test_nothing_is_taken_out_where_we_asked_nothing() -> None:
    body = b'{ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"} }'
    assert post(body).body is body


def test_the_limits_of_a_body_are_those_that_are_written_down() -> None:
    limits = JsonLimits()
    assert (limits.body, limits.string) == (4_194_304, 1_048_576)
    assert (limits.depth, limits.keys, limits.values) == (64, 10_000, 100_000)


def measured(tree: Json, **limits: int) -> Reason | None:
    """Why a tree passes its limits."""
    try:
        measure(tree, JsonLimits(**limits))
    except Refusal as refusal:
        return refusal.reason
    return None


@pytest.mark.parametrize(
    ("tree", "limit", "most", "reason"),
    [
        ([[1]], "depth", 2, Reason.TOO_DEEP),
        ({"a": {"b": 1}}, "depth", 2, Reason.TOO_DEEP),
        ([{"a": 1, "b": [2, 3]}], "keys", 2, Reason.TOO_LARGE),
        ([{"a": 1, "b": [2, 3]}], "values", 5, Reason.TOO_LARGE),
        ({"aaaa": 1}, "string", 4, Reason.TOO_LARGE),
        (["\u00e9\u00e9"], "string", 4, Reason.TOO_LARGE),
    ],
)
def test_a_limit_is_the_last_that_is_read(tree: Json, limit: str, most: int, reason: Reason) -> None:
    assert measured(tree, **{limit: most}) is None
    assert measured(tree, **{limit: most - 1}) is reason


def test_a_key_is_shown_up_to_forty_characters() -> None:
    for length, shown in ((40, "k" * 40), (41, "k" * 40 + "...")):
        body = f'{{"{"k" * length}":1,"{"k" * length}":2}}'.encode()
        with pytest.raises(Refusal, match="stands twice") as caught:
            parse(body, LIMITS)
        assert f'"{shown}"' in caught.value.message


def test_a_body_of_twice_the_values_is_refused_before_it_is_built() -> None:
    limits = JsonLimits(values=10)
    for count, early in ((11, False), (20, False), (21, True)):
        with pytest.raises(Refusal, match="More than 10") as caught:
            parse(dumps([0] * count), limits)
        assert ("counted down" not in caught.value.message) is early
    assert parse(dumps([0] * 10), limits) == [0] * 10
    assert parse(dumps([",[{" * 30]), limits) == [",[{" * 30]
