"""The tables of the gate, word for word: a word that is lost from one of them opens what it kept shut."""

import pytest

from mcpgov.decision import Reason
from mcpgov.endpoint.inbound import CONSENT_KEY, is_disguised, parse_request
from mcpgov.errors import Refusal
from mcpgov.models import Json
from mcpgov.strict_json import JsonLimits, dumps
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
