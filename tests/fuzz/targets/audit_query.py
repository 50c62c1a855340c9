"""What is asked of the ledger, and what it is asked for: a filter or a refusal; words that a store can look for."""

from __future__ import annotations

from dataclasses import fields
from urllib.parse import parse_qsl

from mcpgov.admin.access import AdminRefusal, Fault
from mcpgov.admin.filters import FILTERS, MOST, PAGING, filter_of
from mcpgov.audit.export import ExportEvidence
from mcpgov.audit.reader import VALUES, readable
from mcpgov.audit.verify import Kept, read
from tests.audit.calls import NOW
from tests.fuzz.target import Target

WORDS = (
    *(*(f"{one.name}=" for one in (*FILTERS, *PAGING)), "&", "%00", "%ED%A0%80", "15m", "99999d", "2026-11-20T08:00"),
    *("0001-01-01", "9999-12-31T23:59:59-23:59", "+00:00", "deny", "open", "%D9%A1", "1e3", "-1"),
)


class Once:
    """A file of one line."""

    def __init__(self, line: bytes) -> None:
        self._left = [line]

    def readline(self, size: int, /) -> bytes:
        """The line, then nothing."""
        return self._left.pop()[:size] if self._left else b""


def judge(data: bytes) -> None:
    """One query; and the same bytes as a record."""
    text = data.decode("utf-8", "replace")
    try:
        wanted = filter_of(dict(parse_qsl(text)), NOW)
    except AdminRefusal as refusal:
        assert refusal.fault is Fault.INVALID_REQUEST
    else:
        assert 1 <= wanted.limit <= MOST
        assert not (wanted.since and wanted.until) or wanted.since < wanted.until
        assert all(str(getattr(wanted, one.name)).encode() is not None for one in fields(wanted))
    for name in VALUES:
        readable(name, text)
    read_back = read(text)
    assert read_back is None or isinstance(read_back, dict)
    assert all(not isinstance(found, Kept) or found.record for found in ExportEvidence(Once(data + b"\n")).records())


TARGET = Target(judge, WORDS, 1024)
