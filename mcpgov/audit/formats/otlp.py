"""Records as OpenTelemetry logs: an ExportLogsServiceRequest of opentelemetry-proto 1.x, as OTLP/HTTP writes JSON.

Pure. A record's fields are its attributes, under their own names; `event_name` says what kind of record it is,
`log.record.uid` is its name everywhere. JSON has ids of traces and spans in hexadecimal and 64-bit numbers as text
(OTLP 1.x, "JSON Protobuf Encoding").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.audit.exported import Payload
from mcpgov.audit.formats.batches import LIMIT, divided, encoded, is_trouble, name_of, text_of, trace_of
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.audit.exported import Exported
    from mcpgov.models import Json

MEDIA_TYPE: Final = "application/json"
INFO, WARN = ("INFO", 9), ("WARN", 13)
HEAD: Final = (
    b'{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"mcpgov"}}]},'
    b'"scopeLogs":[{"scope":{"name":"mcpgov.audit"},"logRecords":['
)
TAIL: Final = b"]}]}]}"


@frozen
class Otlp:
    """The Format `otlp`. `limit` is in bytes."""

    limit: int = LIMIT

    def payloads(self, records: Sequence[Exported]) -> Iterator[Payload]:
        """One log record a record."""
        for part, items in divided(records, log_record, self.limit):
            yield Payload(HEAD + b",".join(items) + TAIL, len(part), MEDIA_TYPE, name_of(part, ".json"))


def log_record(one: Exported) -> bytes:
    """A record as a LogRecord."""
    text, number = WARN if is_trouble(one.record) else INFO
    trace, span = trace_of(one.record)
    nanoseconds = str(one.at * 1000)
    made: dict[str, Json] = {
        "timeUnixNano": nanoseconds,
        "observedTimeUnixNano": nanoseconds,
        "severityNumber": number,
        "severityText": text,
        "eventName": f"mcpgov.audit.{text_of(one.record, 'event')}",
        "attributes": [
            attribute("log.record.uid", one.uid),
            *(attribute(name, value) for name, value in one.fields.items()),
        ],
    }
    if trace:
        made["traceId"] = trace
    if span:
        made["spanId"] = span
    return encoded(made)


def attribute(name: str, value: Json) -> Json:
    """A KeyValue."""
    return {"key": name, "value": any_value(value)}


def any_value(value: Json) -> Json:
    """An AnyValue: text, whole numbers, booleans and lists of these are all that a record holds."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    return {"stringValue": value if isinstance(value, str) else encoded(value).decode()}
