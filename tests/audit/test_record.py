"""The records say what is known, in one canonical form, and no text of a caller can break them."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.audit.levels import Level
from mcpgov.audit.record import (
    AnswerSeen,
    ControlEvent,
    ControlRecord,
    DeniedRecord,
    Facts,
    IntentRecord,
    Latency,
    OutcomeRecord,
    Row,
    canonical,
    microseconds,
    timestamp,
)
from mcpgov.audit.redact import Fingerprint
from mcpgov.audit.tool_sets import ToolSet
from mcpgov.audit.values import Redacted
from mcpgov.decision import Changes, Decision, Reason
from mcpgov.models import Credential, Headers, LocalUpstream, OutcomeStatus
from tests.audit.calls import AGENT, ALICE, ALLOWED, CITY, NOW, facts, head, request

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
FULL = facts("w-1", traceparent=TRACEPARENT)._replace(
    arguments=Fingerprint("hmac-sha256:00", 28), session="hmac-sha256:11"
)


def fields(row: Row) -> dict[str, object]:
    return json.loads(row.record)


def test_an_intent_holds_everything_that_is_known() -> None:
    assert fields(IntentRecord(FULL).row()) == {
        "v": 1,
        "event": "intent",
        "ts": "2026-11-20T12:00:00.123456Z",
        "call_id": "w-1",
        "correlation_id": "correlation-w-1",
        "trace_id": TRACE,
        "span_id": "correlation-w-1",
        "mcpgov.parent_span_id": "00f067aa0ba902b7",
        "client.address": "10.0.0.7",
        "gen_ai.tool.name": "search",
        "http.request.method": "POST",
        "jsonrpc.request.id": "7",
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2026-07-28",
        "mcpgov.arguments.digest": "hmac-sha256:00",
        "mcpgov.arguments.size": 28,
        "mcpgov.connection": "city",
        "mcpgov.credential.kind": "CustomKeys",
        "mcpgov.credential.reference": "city: X-Key",
        "mcpgov.decision.effect": "allow",
        "mcpgov.decision.limits": [60],
        "mcpgov.decision.policy_hash": "sha256:" + "a" * 64,
        "mcpgov.decision.reason": "allowed",
        "mcpgov.decision.remaining": [59],
        "mcpgov.decision.rule": "company#1",
        "mcpgov.era": "stateless",
        "mcpgov.durability": "durable",
        "mcpgov.kind": "request",
        "mcpgov.principal.credential": "mcpgov_3fGh81Kx…",
        "mcpgov.principal.id": "key:3fGh81Kx",
        "mcpgov.principal.kind": "key",
        "mcpgov.principal.name": "alice",
        "mcpgov.principal.project": "payments",
        "mcpgov.request.size": len(FULL.request.body) if FULL.request else 0,
        "mcpgov.session.digest": "hmac-sha256:11",
        "mcpgov.snapshot": "stamp",
        "mcpgov.traceparent": TRACEPARENT,
        "mcpgov.upstream.origin": "https://city.example:8443",
        "mcpgov.upstream.server": "dev.mcpgov/city",
        "network.peer.address": "10.0.0.1",
        "user_agent.original": "agent/1.0",
    }


def test_an_intent_tells_which_agent_of_which_blueprint_calls_for_whom() -> None:
    known = FULL._replace(
        principal=AGENT,
        credential=Credential("UserEntraToken", "city", identity="on-behalf-of user-1", audience="api://city"),
        head=replace(FULL.head, headers=Headers((("x-ms-agentid", "claimed-agent"),))),
    )
    told = fields(IntentRecord(known).row())
    assert {name.rpartition(".")[2]: value for name, value in told.items() if ".principal." in name} == {
        "id": "entra:tenant:agent-1:user-1",
        "kind": "agent-on-behalf-of",
        "agent_id": "agent-1",
        "blueprint_id": "blueprint-1",
        "object_id": "user-1",
        "app_id": "agent-1",
        "tenant_id": "tenant",
        "issuer": "https://login.example/tenant/v2.0",
        "token_id": "uti-1",
        "roles": ["Mcp.Invoke"],
        "user_context": True,
        "shared": True,
        "connections": ["city"],
        "tools": ["get_*"],
        "scopes": ["Mcp.Use"],
    }
    assert told["mcpgov.agent.claimed"] == "claimed-agent"
    assert told["mcpgov.credential.identity"] == "on-behalf-of user-1"
    assert told["mcpgov.credential.audience"] == "api://city"
    assert "user-token" not in str(told)


def test_an_intent_is_found_by_its_columns() -> None:
    row = IntentRecord(FULL).row()
    assert row._replace(record="") == Row(
        *("w-1", 0, "intent", 1795176000123456, "city", "tools/call", "search", "key:3fGh81Kx", "alice", "payments"),
        *("allowed", None, "10.0.0.7", "correlation-w-1", TRACE),
    )


def test_no_secret_enters_a_record() -> None:
    for row in (IntentRecord(FULL).row(), DeniedRecord(FULL, Reason.TOOL_DENIED).row()):
        assert "hunter2" not in str(row)


def test_a_denial_before_anything_is_known_is_still_whole() -> None:
    known = Facts("w-2", NOW, "stamp", head("c"))
    row = DeniedRecord(known, Reason.CREDENTIAL_MISSING, detail="no key", total=1200).row()
    assert fields(row) == {
        "v": 1,
        "event": "denied",
        "ts": "2026-11-20T12:00:00.123456Z",
        "call_id": "w-2",
        "correlation_id": "c",
        "trace_id": "c",
        "span_id": "c",
        "client.address": "10.0.0.7",
        "http.request.method": "POST",
        "http.response.status_code": 401,
        "mcpgov.connection": "city",
        "mcpgov.decision.effect": "deny",
        "mcpgov.decision.reason": "credential-missing",
        "mcpgov.detail": "no key",
        "mcpgov.latency.total_us": 1200,
        "mcpgov.snapshot": "stamp",
        "mcpgov.status": "denied",
        "mcpgov.durability": "durable",
        "network.peer.address": "10.0.0.1",
        "user_agent.original": "agent/1.0",
    }
    assert (row.final, row.event, row.reason, row.status) == (1, "denied", "credential-missing", "denied")
    assert (row.method, row.tool, row.principal, row.trace_id) == (None, None, None, "c")


def test_a_denial_names_the_rule_and_what_the_caller_was_told() -> None:
    rule = Decision(Reason.TOOL_DENIED, "company#2", "sha256:b", as_tool_result=True)
    told = fields(DeniedRecord(FULL._replace(decision=rule), Reason.TOOL_DENIED, as_tool_result=True).row())
    assert (told["mcpgov.decision.rule"], told["mcpgov.decision.policy_hash"]) == ("company#2", "sha256:b")
    assert told["http.response.status_code"] == 200


def test_a_caller_that_went_away_was_not_denied() -> None:
    row = DeniedRecord(FULL, Reason.CLIENT_GONE, OutcomeStatus.CANCELLED).row()
    assert "mcpgov.decision.effect" not in fields(row)
    assert "http.response.status_code" not in fields(row)
    assert (row.status, row.reason) == ("cancelled", "client-gone")


def test_an_intent_without_a_decision_claims_none() -> None:
    row = IntentRecord(FULL._replace(decision=None)).row()
    assert "mcpgov.decision.reason" not in fields(row)
    assert row.reason is None


def test_the_backend_that_a_policy_chose_is_the_origin() -> None:
    elsewhere = replace(ALLOWED, changes=Changes(backend="https://x:y@europe.example/base?token=hunter2"))
    row = IntentRecord(FULL._replace(decision=elsewhere)).row()
    assert fields(row)["mcpgov.upstream.origin"] == "https://europe.example"
    undecided = IntentRecord(FULL._replace(decision=None)).row()
    assert fields(undecided)["mcpgov.upstream.origin"] == "https://city.example:8443"


def test_a_local_server_is_named_by_its_program_alone() -> None:
    local = replace(CITY, upstream=LocalUpstream(("mcp-server", "--token", "hunter2")))
    row = IntentRecord(FULL._replace(connection=local)).row()
    assert fields(row)["mcpgov.upstream.origin"] == "stdio:mcp-server"
    assert "hunter2" not in row.record


@pytest.mark.parametrize(
    ("method", "name", "field", "value"),
    [
        ("tools/call", "search", "gen_ai.tool.name", "search"),
        ("prompts/get", "greet", "gen_ai.prompt.name", "greet"),
        ("resources/read", "file:///a?token=x", "mcp.resource.uri", "file:///a"),
    ],
)
def test_what_is_asked_for_has_the_name_that_opentelemetry_gives_it(
    method: str, name: str, field: str, value: str
) -> None:
    asked = FULL._replace(request=request(name, method, about=FULL.head))
    found = fields(IntentRecord(asked).row())
    targets = {"gen_ai.tool.name", "gen_ai.prompt.name", "mcp.resource.uri"}
    assert {target: found[target] for target in targets if target in found} == {field: value}


def test_a_notification_has_no_id() -> None:
    asked = FULL._replace(request=replace(request(about=FULL.head), id=None))
    assert "jsonrpc.request.id" not in fields(IntentRecord(asked).row())


def test_an_outcome_says_how_the_call_ended_and_how_long_it_took() -> None:
    seen = AnswerSeen(200, 3, 700, complete=True, is_error=False, code=-32601, attempts=2)
    record = OutcomeRecord(
        *("w-1", NOW, OutcomeStatus.RPC_ERROR, Reason.UPSTREAM_ERROR, "detail", "correlation", TRACE),
        *(seen, Latency(1, 2, 3, 4)),
    )
    row = record.row()
    assert fields(row) == {
        "v": 1,
        "event": "outcome",
        "ts": "2026-11-20T12:00:00.123456Z",
        "call_id": "w-1",
        "correlation_id": "correlation",
        "trace_id": TRACE,
        "span_id": "correlation",
        "http.response.status_code": 200,
        "mcpgov.answer.complete": True,
        "mcpgov.answer.events": 3,
        "mcpgov.answer.is_error": False,
        "mcpgov.answer.size": 700,
        "mcpgov.upstream.attempts": 2,
        "mcpgov.detail": "detail",
        "mcpgov.latency.audit_us": 2,
        "mcpgov.latency.decision_us": 1,
        "mcpgov.latency.total_us": 4,
        "mcpgov.latency.upstream_us": 3,
        "mcpgov.reason": "upstream-error",
        "mcpgov.status": "rpc-error",
        "mcpgov.durability": "durable",
        "rpc.response.status_code": "-32601",
    }
    assert (row.final, row.event, row.status, row.reason) == (1, "outcome", "rpc-error", "upstream-error")


def test_an_outcome_of_which_nothing_is_known_says_only_that() -> None:
    row = OutcomeRecord("w-1", NOW, OutcomeStatus.UNKNOWN).row()
    assert fields(row) == {
        "v": 1,
        "event": "outcome",
        "ts": "2026-11-20T12:00:00.123456Z",
        "call_id": "w-1",
        "mcpgov.status": "unknown",
        "mcpgov.durability": "durable",
    }
    assert (row.reason, row.correlation_id, row.trace_id) == (None, None, None)


def test_a_control_record_belongs_to_no_call() -> None:
    row = ControlRecord(ControlEvent.RELOAD_REFUSED, NOW, {"problems": 2, "first": "x" * 2000}).row()
    assert (row.call_id, row.final, row.event, row.reason) == (None, 0, "control", "reload-refused")
    assert fields(row) == {
        "v": 1,
        "event": "control",
        "ts": "2026-11-20T12:00:00.123456Z",
        "mcpgov.control.event": "reload-refused",
        "mcpgov.durability": "durable",
        "mcpgov.control.problems": 2,
        "mcpgov.control.first": "x" * 1024 + "…[+976]",
    }


def test_a_control_record_is_found_by_whom_and_what_it_is_about() -> None:
    about = {"principal": "key:k1", "connection": "city", "source": "10.0.0.7", "correlation_id": "c0ffee00"}
    row = ControlRecord(ControlEvent.CONSENT_GIVEN, NOW, about).row()
    assert (row.principal, row.connection, row.source, row.correlation_id) == tuple(about.values())
    row = ControlRecord(ControlEvent.CONSENT_GIVEN, NOW, {"principal": "x" * 2000}).row()
    assert row.principal == "x" * 256 + "…[+1744]"
    assert (row.connection, row.source, row.correlation_id) == (None, None, None)


def test_canonical_json_is_sorted_compact_utf8_with_controls_escaped() -> None:
    assert canonical({"b": 1, "a": 'ä\n\x00\x1f"\\\u2028', "c": None, "d": "", "e": False, "f": [1]}) == (
        '{"a":"ä\\n\\u0000\\u001f\\"\\\\\u2028","b":1,"e":false,"f":[1]}'
    )


@given(st.text(st.characters()), st.text(st.characters()))
def test_no_text_of_a_caller_breaks_a_record(tool: str, agent: str) -> None:
    about = replace(
        FULL.head,
        headers=Headers((("user-agent", agent),)),
        claimed_correlation_id=tool,
        connection=agent,
        correlation_id=tool,
    )
    hostile = FULL._replace(
        head=about,
        principal=replace(ALICE, id=agent, name=tool, project=agent),
        request=replace(request(tool, about=about), id=agent, protocol_version=tool, traceparent=agent),
    )
    for row in (IntentRecord(hostile).row(), DeniedRecord(hostile, Reason.TOOL_DENIED, detail=tool).row()):
        for value in row:
            str(value).encode("utf-8")
        assert not re.search(r"[\x00-\x1f]", row.record)
        assert json.loads(row.record)["event"] == row.event
        assert len(row.record) < 20_000


def test_times_are_utc_with_microseconds() -> None:
    elsewhere = datetime(2026, 11, 20, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(elsewhere) == "2026-11-20T12:00:00.000000Z"
    assert microseconds(elsewhere) == 1795176000000000
    assert microseconds(datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)) == -1


def test_a_call_that_follows_no_trace_begins_one_under_its_correlation_id() -> None:
    about = replace(FULL.head, correlation_id="0123456789abcdef" * 2)
    row = IntentRecord(FULL._replace(head=about, request=request(about=about))).row()
    told = fields(row)
    assert told["trace_id"] == row.trace_id == about.correlation_id
    assert told["span_id"] == "0123456789abcdef"
    assert not {"mcpgov.parent_span_id", "mcpgov.traceparent.ignored"} & told.keys()


def test_a_call_that_was_refused_unread_is_filed_under_the_trace_of_its_head() -> None:
    headers = Headers((("traceparent", TRACEPARENT),))
    told = fields(
        DeniedRecord(
            FULL._replace(head=replace(FULL.head, headers=headers), request=None), Reason.CREDENTIAL_MISSING
        ).row()
    )
    assert (told["trace_id"], told["mcpgov.parent_span_id"]) == (TRACE, TRACEPARENT.split("-")[2])


def test_a_claim_of_a_trace_that_is_not_followed_is_written_down_and_cut() -> None:
    claims = ("header, overruled: " + TRACEPARENT, "x" * 1000)
    told = fields(IntentRecord(FULL._replace(request=replace(request(about=FULL.head), traces_ignored=claims))).row())
    assert told["mcpgov.traceparent.ignored"] == [claims[0], "x" * 256 + "…[+744]"]


def test_at_level_none_nothing_that_the_caller_chose_stands_in_a_record_but_names() -> None:
    chosen = "chosen-by-the-caller"
    headers = Headers((("user-agent", chosen), ("x-ms-agentid", chosen)))
    where = replace(FULL.head, headers=headers, claimed_correlation_id=chosen)
    asked = replace(request(chosen, "resources/read", about=where), id=chosen, traceparent=f"00-{TRACE}-{chosen}-01")
    known = FULL._replace(head=where, request=asked, level=Level.NONE, arguments=Fingerprint(chosen, 1), session=chosen)
    outcome = OutcomeRecord("w-1", NOW, OutcomeStatus.OK, detail=chosen, seen=AnswerSeen(200), level=Level.NONE)
    rows = (IntentRecord(known).row(), DeniedRecord(known, Reason.TOOL_DENIED, detail=chosen).row(), outcome.row())
    assert [chosen in row.record for row in rows] == [False, False, False]
    intent, denied, ended = map(fields, rows)
    assert (intent["mcpgov.level"], intent["mcpgov.principal.id"], intent["mcpgov.connection"]) == (
        *("none", "key:3fGh81Kx", "city"),
    )
    assert (denied["mcpgov.status"], denied["mcpgov.decision.reason"], ended["mcpgov.status"]) == (
        *("denied", "tool-denied", "ok"),
    )
    assert "gen_ai.tool.name" in fields(IntentRecord(FULL._replace(level=Level.NONE)).row())


def test_values_and_tools_stand_where_they_were_seen() -> None:
    known = FULL._replace(level=Level.REQUEST_RESPONSE, value=Redacted('{"a":"…"}', 2, 3))
    told = fields(IntentRecord(known).row())
    assert told["mcpgov.level"] == "request-response"
    assert [told[f"mcpgov.arguments.{name}"] for name in ("value", "dropped", "left_out")] == ['{"a":"…"}', 2, 3]
    seen = AnswerSeen(200, value=Redacted("[]"))
    ended = fields(OutcomeRecord("w-1", NOW, OutcomeStatus.OK, seen=seen, tools=ToolSet("sha256:0", 4)).row())
    assert {name: value for name, value in ended.items() if ".tools." in name or ".answer." in name} == {
        "mcpgov.answer.events": 0,
        "mcpgov.answer.size": 0,
        "mcpgov.answer.value": "[]",
        "mcpgov.tools.digest": "sha256:0",
        "mcpgov.tools.count": 4,
    }
