"""What the formats share: where a batch is divided, what a payload is called, and how a value becomes JSON.

Pure. A payload has records of one day (UTC) and at most so many bytes; a record that is larger alone goes alone, and it
is for the place to take or to refuse it.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from mcpgov.audit.record import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mcpgov.audit.exported import Exported
    from mcpgov.models import Json

LIMIT: Final = 900_000  # bytes: collectors that take 1 MB take this
NDJSON: Final = "application/x-ndjson"
TROUBLE: Final = frozenset({"denied", "failed", "tool-error", "rpc-error", "not-sent", "unknown", "unreadable"})
_DAY: Final = 86_400_000_000  # microseconds
# W3C Trace Context; no trace or parent is all zeros.
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_TRACE: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def encoded(value: Json) -> bytes:
    """A value as JSON without white space, keys sorted. What is no Unicode (a lone surrogate) becomes `?`."""
    return _ENCODER.encode(value).encode("utf-8", "replace")


def divided(
    records: Sequence[Exported], encode: Callable[[Exported], bytes], limit: int
) -> Iterator[tuple[Sequence[Exported], list[bytes]]]:
    """The records in parts of one day and at most `limit` bytes, each with what its records are in this format."""
    start, size, items = 0, 0, list[bytes]()
    for place, one in enumerate(records):
        item = encode(one)
        if items and (size + len(item) > limit or one.at // _DAY != records[start].at // _DAY):
            yield records[start:place], items
            start, size, items = place, 0, []
        size += len(item) + 1  # and what stands between two
        items.append(item)
    if items:
        yield records[start:], items


def name_of(records: Sequence[Exported], ending: str) -> str:
    """What a file of these records is called: `2026-11-20/<first id>-<last id>-<digest of their names><ending>`.

    The digest keeps two stores apart that send to one folder.
    """
    first, last = records[0], records[-1]
    digest = hashlib.sha256("\n".join(one.uid for one in records).encode()).hexdigest()[:12]
    return f"{moment(first).date()}/{first.id:012d}-{last.id:012d}-{digest}{ending}"


def moment(one: Exported) -> datetime:
    """When a record was made."""
    return (EPOCH + timedelta(microseconds=one.at)).astimezone(UTC)


def text_of(record: Mapping[str, Json], name: str) -> str:
    """A field as text; empty where it is not there."""
    value = record.get(name)
    return value if isinstance(value, str) else "" if value is None else encoded(value).decode()


def is_trouble(record: Mapping[str, Json]) -> bool:
    """Whether somebody should look: a call that was refused or went wrong."""
    return record.get("mcpgov.status") in TROUBLE


def trace_of(record: Mapping[str, Json]) -> tuple[str, str]:
    """The trace and the span (hexadecimal) that a record belongs to; empty where there is none, or no such thing."""
    if found := _TRACEPARENT.fullmatch(traceparent(record)):
        return found[1], found[2]
    trace = text_of(record, "trace_id")
    return (trace if _TRACE.fullmatch(trace) else ""), ""


def traceparent(record: Mapping[str, Json]) -> str:
    """The traceparent of a record, if it is one (W3C Trace Context); else empty."""
    claimed = text_of(record, "mcpgov.traceparent")
    return claimed if _TRACEPARENT.fullmatch(claimed) else ""
