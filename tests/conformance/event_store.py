"""Server-sent events kept in memory, so that a client may come back with Last-Event-ID (2025-11-25)."""

from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp_types.jsonrpc import JSONRPCMessage


class MemoryEventStore(EventStore):
    """All events of all streams in the order they came; the id of an event is its place."""

    def __init__(self) -> None:
        self._events: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Keep one event (None: the priming event of a stream) and give it an id."""
        self._events.append((stream_id, message))
        return str(len(self._events) - 1)

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        """Send what came on the same stream after that event; None when there is no such event."""
        if not last_event_id.isdecimal() or int(last_event_id) >= len(self._events):
            return None
        last = int(last_event_id)
        stream_id = self._events[last][0]
        for place, (stream, message) in enumerate(self._events[last + 1 :], last + 1):
            if stream == stream_id and message is not None:
                await send_callback(EventMessage(message, str(place)))
        return stream_id
