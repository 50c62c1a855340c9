"""A row has the columns of the table and nothing else, values of their types, and no value that Azure would cut."""

import json
from dataclasses import replace
from typing import Any

import pytest

from mcpgov.audit.exported import Exported
from mcpgov.audit.formats.azure_monitor import COLUMNS, FIELD, OWN, PLATFORM, AzureMonitor, cut, row
from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.models import Json
from tests.audit.calls import NOW
from tests.audit.exports import LOG, WRITER, documented, exported, hostile, raw_hostile, records, rows
from tests.peers.log_ingestion import KINDS, LONGEST


def only(record: dict[str, Json]) -> dict[str, Any]:
    """The row of a record."""
    return dict(row(Exported(1, LOG, WRITER, 1, 0, record)))


def test_every_column_of_the_platforms_own_log_is_there_by_its_name() -> None:
    documented = (
        "TimeGenerated ApiType AuthenticationMethod ClientName ClientVersion CorrelationId Error ErrorType "
        "McpServerEndpoint Method OperationName ProtocolVersion Region ServerName ServerVersion SessionId ToolCount "
        "ToolName TransportType"
    )
    assert [column.name for column in PLATFORM] == documented.split()


def test_no_column_has_a_name_that_azure_refuses_or_keeps_for_itself() -> None:
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and name.isalnum() and name[0].isalpha() and len(name) <= 45 for name in names)
    assert not {"TenantId", "Type", "SourceSystem", "UniqueId", "Title", "Id"}.intersection(names)


@pytest.mark.parametrize("found", [exported(rows()), hostile(), raw_hostile()])
def test_each_value_is_one_of_its_column(found: list[Exported]) -> None:
    (payload,) = AzureMonitor(5_000_000).payloads(found)
    assert payload.media_type == "application/json"
    kinds = {column.name: KINDS[column.type] for column in COLUMNS}
    made = json.loads(payload.body)
    assert len(made) == payload.count == len(found)
    for one in made:
        assert all(kinds[name](value) for name, value in one.items())


def test_a_call_is_two_rows_that_its_id_joins() -> None:
    start, intent, outcome, denied, failed = (dict(row(one)) for one in exported(rows()))
    assert (start["Event"], start["ControlEvent"], start["OperationName"]) == ("control", "start", "start")
    assert intent["CallId"] == outcome["CallId"]
    assert (intent["Method"], intent["OperationName"], intent["ToolName"]) == ("tools/call", "search", "search")
    assert (intent["AuthenticationMethod"], denied["AuthenticationMethod"]) == ("api_key", "oauth2")
    assert (intent["ClientName"], intent["ClientVersion"]) == ("agent", "1.0")
    assert (intent["McpServerEndpoint"], intent["TransportType"]) == ("/mcp/city", "streamable-http")
    assert (outcome["Status"], outcome["TotalUs"]) == ("ok", 4)
    assert (denied["ErrorType"], denied["Error"], denied["Effect"]) == ("tool-denied", "not for you", "deny")
    assert (denied["CallerTenantId"], denied["AgentId"]) == ("tenant", "agent-1")
    assert failed["ErrorType"] == "upstream-timeout"
    assert not {"Error", "ErrorType"}.intersection(intent)
    assert {"Region", "ServerVersion", "ToolCount"}.isdisjoint({*intent, *denied})


def test_the_tools_that_a_server_listed_stand_in_the_row() -> None:
    found = only({"mcpgov.tools.digest": "sha256:0a", "mcpgov.tools.count": 3})
    assert (found["ToolsDigest"], found["ToolCount"]) == ("sha256:0a", 3)


@pytest.mark.parametrize(
    ("record", "column", "value"),
    [
        ({}, "AuthenticationMethod", None),
        ({"mcpgov.principal.kind": "anonymous"}, "AuthenticationMethod", "none"),
        ({"mcpgov.principal.kind": "user"}, "AuthenticationMethod", "oauth2"),
        (
            {"mcpgov.principal.kind": "app", "mcpgov.principal.credential": "certificate:ab"},
            "AuthenticationMethod",
            "cert",
        ),
        ({"user_agent.original": "Claude-Desktop"}, "ClientName", "Claude-Desktop"),
        ({"user_agent.original": "Claude-Desktop"}, "ClientVersion", None),
        ({"user_agent.original": "(odd)"}, "ClientName", None),
        ({"mcpgov.upstream.origin": "stdio:mcp-server-time"}, "TransportType", "stdio"),
        ({"mcpgov.status": "cancelled", "mcpgov.reason": "client-gone"}, "ErrorType", None),
        ({"mcpgov.status": "denied", "mcpgov.decision.reason": "tool-hidden"}, "ErrorType", "tool-hidden"),
        ({"mcpgov.status": "tool-error"}, "ErrorType", "tool-error"),
        ({"mcpgov.status": "denied", "mcpgov.reason": ""}, "ErrorType", "denied"),
        ({"mcp.method.name": "ping"}, "OperationName", "ping"),
        ({"mcpgov.detail": ["a", 1]}, "Error", '["a",1]'),
    ],
)
def test_what_the_platform_calls_otherwise_is_put_in_its_words(
    record: dict[str, Json], column: str, value: str | None
) -> None:
    assert only(record).get(column) == value


def test_what_operators_do_is_found_by_the_same_columns() -> None:
    details = {"principal": "admin:alice", "source": "10.0.0.9", "correlation_id": "c9", "connection": "city"}
    (one,) = exported([ControlRecord(ControlEvent.ADMIN_SIGNED_IN, NOW, details).row()])
    made = dict(row(one))
    assert [made[name] for name in ("PrincipalId", "ClientAddress", "CorrelationId", "Connection")] == [
        "admin:alice",
        "10.0.0.9",
        "c9",
        "city",
    ]


@pytest.mark.parametrize("letter", ["x", "ä", "😀", "\ud800"])
def test_a_value_that_azure_would_cut_in_silence_is_cut_with_a_marker(letter: str) -> None:
    text = letter * 100_000
    short = cut(text)
    assert len(short.encode("utf-8", "replace")) <= LONGEST
    kept, _, told = short.partition("…")
    assert text.startswith(kept.replace("?", letter))
    missing = len(text.encode("utf-8", "replace")) - len(kept.encode())
    assert told == f"[+{missing} bytes]"
    assert cut("x" * FIELD) == "x" * FIELD


def test_a_record_that_is_too_long_for_one_value_says_so_and_keeps_its_columns() -> None:
    (one,) = records(1)
    made = dict(row(replace(one, record={**one.record, "mcpgov.detail": "x" * FIELD})))
    assert isinstance(made["Record"], dict)
    assert list(made["Record"]) == ["mcpgov.cut"]
    assert made["Error"] == "x" * FIELD
    assert dict(row(one))["Record"] == one.record


def test_a_call_has_at_most_so_many_bytes() -> None:
    found = records(5_000)
    payloads = list(AzureMonitor().payloads(found))
    assert len(payloads) > 1
    assert sum(payload.count for payload in payloads) == 5_000
    assert all(len(payload.body) < 1_000_000 for payload in payloads)


def test_the_whole_record_is_the_last_column() -> None:
    assert COLUMNS[-1].name == "Record"
    assert {column.type for column in OWN} == {"string", "long", "int", "dynamic"}


def test_each_column_is_of_fields_that_records_have() -> None:
    events = ("correlation_id", "error", "connection", "principal", "source")  # what control records say of others
    fields = {field for column in COLUMNS for field in column.fields}
    assert fields - documented() <= {f"mcpgov.control.{name}" for name in events}
    assert all(column.fields or column.made for column in COLUMNS)


@pytest.mark.parametrize("kind", ["anonymous", "probe", ""])
def test_who_showed_nothing_has_no_method(kind: str) -> None:
    (one, *_) = exported(rows()[1:2])
    shown = dict(row(Exported(1, "l", "w", 1, one.at, {**one.record, "mcpgov.principal.kind": kind})))
    assert shown.get("AuthenticationMethod") == ("none" if kind else None)
