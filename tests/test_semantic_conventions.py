"""What a span and a measurement say of a call: the conventions' names, nothing of a caller's that has no bound."""

from dataclasses import replace

import pytest

from mcpgov.audit.ended import EndedCall
from mcpgov.audit.record import AnswerSeen, Latency
from mcpgov.decision import Changes, Reason
from mcpgov.models import LocalUpstream, OutcomeStatus, RemoteUpstream
from mcpgov.semantic_conventions import (
    client_attributes,
    client_dimensions,
    client_seconds,
    error_type,
    server_attributes,
    server_dimensions,
    span_name,
)
from tests.audit.calls import ALLOWED, CITY, request
from tests.audit.ended_calls import ABOUT, CORRELATION, answered, denied, unread

CATALOG = {"city": CITY}


def asking(method: str, name: str = "search") -> EndedCall:
    return answered(asked=request(name, method, about=ABOUT))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (answered(), "tools/call search"),
        (asking("prompts/get", "greet"), "prompts/get greet"),
        (asking("resources/read", "file:///a"), "resources/read"),
        (asking("tools/list", ""), "tools/list"),
        (unread(), "POST"),
    ],
)
def test_a_span_is_named_by_method_and_target(call: EndedCall, name: str) -> None:
    assert span_name(call) == name


def test_the_leg_in_says_what_was_called_and_how_that_ended() -> None:
    assert server_attributes(answered()) == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2026-07-28",
        "mcp.session.id": "hmac-sha256:11",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "jsonrpc.request.id": "7",
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "client.address": "10.0.0.7",
        "http.response.status_code": 200,
        "mcpgov.connection": "city",
        "mcpgov.correlation_id": CORRELATION,
        "mcpgov.decision.effect": "allow",
        "mcpgov.decision.rule": "company#1",
        "mcpgov.status": "ok",
    }


def test_the_leg_out_says_where_it_went() -> None:
    said = client_attributes(answered())
    assert (said["server.address"], said["server.port"]) == ("city.example", 8443)
    assert said["mcpgov.upstream.server"] == "dev.mcpgov/city"
    local = replace(answered(), connection=replace(CITY, upstream=LocalUpstream(("server", "--token=hunter2"))))
    assert client_attributes(local)["network.transport"] == "pipe"
    assert "server.address" not in client_attributes(local)
    elsewhere = replace(answered(), decision=replace(ALLOWED, changes=Changes(backend="https://eu.example")))
    assert client_attributes(elsewhere)["server.port"] == 443
    plain = replace(answered(), connection=replace(CITY, upstream=RemoteUpstream("http://city.example")))
    assert client_attributes(plain)["server.port"] == 80


def test_no_argument_no_credential_and_no_raw_session_is_said() -> None:
    for call in (answered(), denied(), unread(), asking("resources/read", "file:///a?key=hunter2")):
        everything = [server_attributes(call), client_attributes(call), server_dimensions(call, CATALOG)]
        assert "hunter2" not in str(everything)
        assert "raw-session" not in str(everything)
    assert server_attributes(asking("resources/read", "file:///a?key=hunter2"))["mcp.resource.uri"] == "file:///a"
    assert server_attributes(asking("prompts/get", "greet"))["gen_ai.prompt.name"] == "greet"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (answered(), ""),
        (answered(OutcomeStatus.TOOL_ERROR, AnswerSeen(200, is_error=True)), "tool_error"),
        (answered(OutcomeStatus.RPC_ERROR, AnswerSeen(200, code=-32602)), "-32602"),
        (answered(OutcomeStatus.RPC_ERROR, AnswerSeen(404)), "404"),
        (replace(answered(), status=OutcomeStatus.FAILED, reason=Reason.UPSTREAM_TIMEOUT), "upstream-timeout"),
        (replace(answered(), status=OutcomeStatus.FAILED), "failed"),
        (denied(), "tool-denied"),
    ],
)
def test_what_went_wrong_is_one_word(call: EndedCall, said: str) -> None:
    assert error_type(call) == said
    assert server_attributes(call).get("error.type", "") == said


def test_a_measurement_is_told_apart_by_what_has_a_bound() -> None:
    strange = answered(
        OutcomeStatus.RPC_ERROR, AnswerSeen(200, code=123456), asked=request("a" * 99, "evil/" + "b" * 99, about=ABOUT)
    )
    strange = replace(strange, head=replace(strange.head, connection="c" * 50))
    said = server_dimensions(strange, CATALOG)
    assert (said["mcp.method.name"], said["mcpgov.connection"]) == ("_OTHER", "_OTHER")
    assert (said["error.type"], said["rpc.response.status_code"]) == ("_OTHER", "_OTHER")
    known = server_dimensions(answered(OutcomeStatus.RPC_ERROR, AnswerSeen(200, code=-32602)), CATALOG)
    assert (known["mcp.method.name"], known["mcpgov.connection"]) == ("tools/call", "city")
    assert (known["error.type"], known["rpc.response.status_code"]) == ("-32602", "-32602")
    denials = answered(OutcomeStatus.FAILED, AnswerSeen(200, code=123456))
    assert server_dimensions(replace(denials, reason=Reason.RESULT_DENIED), CATALOG)["error.type"] == "result-denied"
    assert server_dimensions(unread(), CATALOG)["mcp.method.name"] == "_OTHER"
    assert "gen_ai.tool.name" not in known
    assert client_dimensions(answered(), CATALOG)["server.address"] == "city.example"
    assert "server.address" not in client_dimensions(unread(), CATALOG)


def test_the_leg_out_begins_when_the_intent_was_durable() -> None:
    assert client_seconds(answered()) == 0.047
    assert client_seconds(replace(answered(), latency=Latency())) == 0
