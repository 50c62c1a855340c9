"""What is sent as OTLP is what OpenTelemetry's own definitions read, value for value."""

import base64
import json
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from mcpgov.audit.exported import Exported
from mcpgov.audit.formats.otlp import Otlp, any_value
from mcpgov.models import Json
from tests.audit.exports import exported, hostile, raw_hostile, rows


def read(body: bytes) -> Any:
    """The log records in a request. OTLP has ids in hexadecimal where protobuf's own JSON has base64."""
    request = json.loads(body)
    for one in request["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        for name in ("traceId", "spanId"):
            if name in one:
                one[name] = base64.b64encode(bytes.fromhex(one[name])).decode()
    parsed = json_format.ParseDict(request, ExportLogsServiceRequest())
    (resource,) = parsed.resource_logs
    assert [(one.key, one.value.string_value) for one in resource.resource.attributes] == [("service.name", "mcpgov")]
    (scope,) = resource.scope_logs
    return scope.log_records


def plain(value: Any) -> Json:
    """An AnyValue as it was."""
    kind = value.WhichOneof("value")
    return [plain(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)


@pytest.mark.parametrize("found", [exported(rows()), hostile(), raw_hostile()])
def test_every_record_is_read_back_whole(found: list[Exported]) -> None:
    (payload,) = Otlp(5_000_000).payloads(found)
    assert payload.media_type == "application/json"
    sent = read(payload.body)
    for log, one in zip(sent, found, strict=True):
        attributes = {attribute.key: plain(attribute.value) for attribute in log.attributes}
        assert attributes == {"log.record.uid": one.uid, **one.fields}
        assert log.time_unix_nano == log.observed_time_unix_nano == one.at * 1000


def test_kind_severity_and_trace_stand_where_a_collector_looks() -> None:
    (payload,) = Otlp().payloads(exported(rows()))
    start, intent, outcome, denied, failed = read(payload.body)
    assert [log.event_name for log in (start, intent, outcome, denied)] == [
        f"mcpgov.audit.{kind}" for kind in ("control", "intent", "outcome", "denied")
    ]
    assert [log.severity_text for log in (intent, outcome, denied, failed)] == ["INFO", "INFO", "WARN", "WARN"]
    assert [log.severity_number for log in (intent, denied)] == [9, 13]
    assert (intent.trace_id.hex(), intent.span_id.hex(), start.trace_id) == ("a" * 32, "b" * 16, b"")


def test_every_kind_of_value_has_its_own() -> None:
    values: list[Json] = [True, 7, "a", ["a", False], None, {"a": 1.5}]
    assert [any_value(value) for value in values] == [
        {"boolValue": True},
        {"intValue": "7"},
        {"stringValue": "a"},
        {"arrayValue": {"values": [{"stringValue": "a"}, {"boolValue": False}]}},
        {"stringValue": "null"},
        {"stringValue": '{"a":1.5}'},
    ]
