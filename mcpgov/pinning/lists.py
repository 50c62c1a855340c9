"""Reads the lists of tools in an answer as it passes, and leaves out what is not to be shown.

A list is read strictly, from the same bytes that go on: what could be read in two ways (a key twice, another encoding)
could show a client another definition than the one that was judged, and is refused. A list may come in the answer that
was asked for, again on a stream, or in the answer to something else; all are judged. What nothing is left out of passes
byte for byte; what something is left out of is for nobody to keep, because it changes when somebody decides. Refuses to
know what is shown, and why.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Protocol

from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.models import Era
from mcpgov.policy.listing import invalid, is_own, list_in, may_list_tools, require_exact
from mcpgov.policy.rewriting import LIMITS, with_message
from mcpgov.strict_json import parse

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mcpgov.models import Answer, Connection, Event, Json, MCPRequest

LARGE = 64 * 1024  # bytes from which on a message is read in a thread, so that nobody else waits for it


@frozen
class Page:
    """Where a list comes from. `own`: it is the answer that was asked for, with `cursor`; `following` is the cursor of
    the next page, empty where there is none. `size` is of the message, in bytes.
    """

    connection: Connection
    correlation_id: str
    size: int
    own: bool
    cursor: str | None = None
    following: str = ""


class Judge(Protocol):
    """Says what is shown of a list."""

    async def __call__(self, tools: Sequence[Json], page: Page, /) -> Collection[int]:
        """The places of the tools that are shown. Raises Refusal, where nothing is."""
        ...


class PinnedList:
    """The events of one answer, its lists judged as they pass. Not a generator: there is nothing to clean up."""

    def __init__(self, answer: Answer, request: MCPRequest, connection: Connection, judge: Judge) -> None:
        self._answer = answer
        self._request = request
        self._connection = connection
        self._judge = judge

    def __aiter__(self) -> PinnedList:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        events = await anext(self._answer.events)
        if not any(event.data is not None and may_list_tools(event.data) for event in events):
            return events
        return tuple([await self._judged(event) for event in events])

    async def _judged(self, event: Event) -> Event:
        """The event as it may be shown; the same object where nothing is left out. Raises Refusal."""
        data = event.data
        if data is None or not may_list_tools(data):
            return event
        try:
            message = await _read(event, data)
        except Refusal as refusal:
            raise invalid(refusal.message) from None
        shown = await self._shown(message, len(data))
        if shown is message:
            return event
        write = partial(with_message, event, shown, streaming=self._answer.streaming)
        return await asyncio.to_thread(write) if len(data) > LARGE else write()

    async def _shown(self, message: Json, size: int) -> Json:
        """The message as it may be shown; the same object where nothing is left out."""
        if isinstance(message, list):
            parts = [await self._shown(part, size) for part in message]
            return message if all(part is before for part, before in zip(parts, message, strict=True)) else parts
        if not isinstance(message, dict):
            return message
        request = self._request
        require_exact(message, request)
        result = list_in(message, request)
        if result is None or "tools" not in result:
            return message
        tools = result["tools"]
        if not isinstance(tools, list):
            raise invalid("what should be a list of tools is none")
        shown = await self._judge(tools, self._page(result, size, own=is_own(message, request)))
        if len(shown) == len(tools):
            return message
        left: dict[str, Json] = {**result, "tools": [tools[at] for at in shown]}
        stale: dict[str, Json] = {"cacheScope": "private", "ttlMs": 0}
        left |= {key: value for key, value in stale.items() if request.era is Era.STATELESS or key in result}
        return {**message, "result": left}

    def _page(self, result: dict[str, Json], size: int, *, own: bool) -> Page:
        cursor, following = self._request.params.get("cursor"), result.get("nextCursor")
        return Page(
            self._connection,
            self._request.head.correlation_id,
            size,
            own,
            cursor if cursor is None else str(cursor),
            following if isinstance(following, str) else "" if following is None else str(following),
        )


async def _read(event: Event, data: bytes) -> Json:
    """The message of an event: as it was read where it came in, else read now. Raises Refusal."""
    if event.message is not None:
        return dict(event.message)
    return await asyncio.to_thread(parse, data, LIMITS) if len(data) > LARGE else parse(data, LIMITS)
