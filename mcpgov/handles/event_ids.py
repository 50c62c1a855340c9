"""The ids of server-sent events, rewritten in their raw form (WHATWG HTML, 9.2.6). Pure.

An id says where a client goes on from with Last-Event-ID (HANDSHAKE). An empty id takes the last one back, and stays.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.models import Event

_ID: Final = re.compile(rb"(?m)(?<![^\r\n])id(?::[ ]?([^\r\n]*))?(?:\r\n|\r|\n)")


def with_ids(event: Event, name: Callable[[bytes], bytes | None]) -> Event:
    """The event with each id as `name` has it; without it, where that is None. The same object where there is none."""
    raw = event.raw
    if not (raw.startswith(b"id") or b"\nid" in raw or b"\rid" in raw):  # most have none, and may be large
        return event

    def renamed(line: re.Match[bytes]) -> bytes:
        if not line[1]:
            return line[0]
        name_here = name(line[1])
        return b"" if name_here is None else b"id: " + name_here + b"\n"

    return replace(event, raw=_ID.sub(renamed, raw))


def without_ids(event: Event) -> Event:
    """The event without an id, also an empty one."""
    return replace(event, raw=_ID.sub(b"", event.raw)) if b"id" in event.raw else event
