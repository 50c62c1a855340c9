"""`limits:` in mcpgov.yaml: what one request and one answer may be at most, and how many there may be at once.

Rules: every bound has a default that is safe at the edge of a network; none can be switched off, only moved. What is
counted at once is counted in each worker by itself. Refuses to know: who enforces which.
"""

from __future__ import annotations

from typing import Annotated, Final

from mcpgov.shapes import NUMBER, Shape, count

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_GIB: Final = 1024 * _MIB


class Limits(Shape):
    """Times are in seconds, sizes in bytes."""

    # one request
    header_fields: Annotated[int, count("fields", 16, 1000), NUMBER] = 64
    header_bytes: Annotated[int, count("bytes", _KIB, 256 * _KIB), NUMBER] = 16 * _KIB
    header_seconds: Annotated[int, count("seconds", 1, 300), NUMBER] = 10
    body_bytes: Annotated[int, count("bytes", _KIB, 64 * _MIB), NUMBER] = 4 * _MIB
    body_seconds: Annotated[int, count("seconds", 1, 600), NUMBER] = 30
    body_rate: Annotated[int, count("bytes a second", 1, _MIB), NUMBER] = _KIB
    idle_seconds: Annotated[int, count("seconds", 1, 3600), NUMBER] = 5
    depth: Annotated[int, count("levels", 4, 256), NUMBER] = 64
    keys: Annotated[int, count("keys", 16, 100_000), NUMBER] = 10_000
    string_bytes: Annotated[int, count("bytes", _KIB, 64 * _MIB), NUMBER] = _MIB

    # one answer
    answer_bytes: Annotated[int, count("bytes", _KIB, 256 * _MIB), NUMBER] = 32 * _MIB
    event_bytes: Annotated[int, count("bytes", _KIB, 256 * _MIB), NUMBER] = 32 * _MIB
    events: Annotated[int, count("events", 16, 100_000_000), NUMBER] = 100_000
    answer_seconds: Annotated[int, count("seconds", 1, 86_400), NUMBER] = 3600
    stream_seconds: Annotated[int, count("seconds", 1, 30 * 86_400), NUMBER] = 86_400

    # at once
    connections: Annotated[int, count("connections", 16, 1_000_000), NUMBER] = 20_000
    calls: Annotated[int, count("calls", 1, 1_000_000), NUMBER] = 4000
    calls_per_caller: Annotated[int, count("calls", 1, 1_000_000), NUMBER] = 500
    calls_per_upstream: Annotated[int, count("calls", 1, 1_000_000), NUMBER] = 1000
    streams: Annotated[int, count("streams", 1, 1_000_000), NUMBER] = 10_000
    streams_per_caller: Annotated[int, count("streams", 1, 1_000_000), NUMBER] = 64
    buffered_bytes: Annotated[int, count("bytes", 64 * _MIB, 64 * _GIB), NUMBER] = 512 * _MIB
