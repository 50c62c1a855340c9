"""The ids of server-sent events at /mcp, and what binds a message to a subscription. Pure.

An id says where a client comes back to with Last-Event-ID (HANDSHAKE). Two members may give one id to two events, so
each has its member in front. A stream that is made of several has no place to come back to, and its events no ids.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Reason
from mcpgov.errors import INVALID_PARAMS, Refusal
from mcpgov.frozen import frozen
from mcpgov.handles.event_ids import with_ids
from mcpgov.messages import SUBSCRIPTION_ID, is_response, mapping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from mcpgov.models import Event, Json, JSONRPCId

ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
CHANGES: Final = ("toolsListChanged", "promptsListChanged", "resourcesListChanged")  # MCP 2026-07-28,
WATCHED: Final = "resourceSubscriptions"  # SubscriptionFilter
MOST_WATCHED: Final = 1000  # URIs of one subscription
_NUMBERED: Final = re.compile(r"([a-z0-9-]+):(.+)")


def with_member(event: Event, member: str) -> Event:
    """The event with its member in front of its id; an empty id, which takes the last one back, stays."""
    front = f"{member}:".encode()
    return with_ids(event, lambda own: front + own)


def left_at(last_event_id: str) -> tuple[str, str] | None:
    """The member and the id that it gave; None for an id of nobody."""
    made = _NUMBERED.fullmatch(last_event_id)
    return (made[1], made[2]) if made else None


@dataclass(slots=True)
class Numbered:
    """The events of one member's stream, as they pass. Not a generator: there is nothing to clean up."""

    events: AsyncIterator[tuple[Event, ...]]
    member: str

    def __aiter__(self) -> Numbered:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        return tuple(with_member(event, self.member) for event in await anext(self.events))


@frozen
class Subscribed:
    """Writes the id of the client's subscription for that of ours: implements a policy's Rewriter."""

    id: JSONRPCId | None

    def concerns(self, data: bytes) -> bool:
        """Everything is told by that id."""
        return bool(data)

    def rewritten(self, message: dict[str, Json]) -> dict[str, Json]:
        """The message under the client's id."""
        own: dict[str, Json] = {"id": self.id} if is_response(message) else {}
        for key in ("params", "result"):
            if SUBSCRIPTION_ID in (meta := mapping(mapping(message.get(key)).get("_meta"))):
                own[key] = {**mapping(message[key]), "_meta": {**meta, SUBSCRIPTION_ID: self.id}}
        return {**message, **own}


def acknowledged(message: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """What a server agrees to tell of; None for another message."""
    if message.get("method") != ACKNOWLEDGED:
        return None
    return mapping(mapping(message.get("params")).get("notifications"))


def watched(notifications: Mapping[str, Json]) -> list[str]:
    """The URIs that a client wants to be told of, each once. Raises Refusal (invalid-message) for too many."""
    given = notifications.get(WATCHED)
    uris = given if isinstance(given, list) else []
    if len(uris) > MOST_WATCHED:
        message = f'"params.notifications.{WATCHED}" has {len(uris)} URIs; the most are {MOST_WATCHED}.'
        refusal = Refusal(Reason.INVALID_MESSAGE, message)
        refusal.code = INVALID_PARAMS
        raise refusal
    return list(dict.fromkeys(uri for uri in uris if isinstance(uri, str)))


def honoured(wanted: Mapping[str, Json], agreed: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """What of `wanted` somebody agreed to tell of (MCP 2026-07-28, SubscriptionFilter)."""
    told: dict[str, Json] = {
        key: True for key in CHANGES if wanted.get(key) is True and any(one.get(key) is True for one in agreed)
    }
    lists = [one.get(WATCHED) for one in agreed]
    said = {uri for uris in lists if isinstance(uris, list) for uri in uris if isinstance(uri, str)}
    listed: list[Json] = [uri for uri in watched(wanted) if uri in said]
    told |= {WATCHED: listed} if listed else {}
    return told
