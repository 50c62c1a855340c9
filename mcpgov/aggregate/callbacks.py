"""Whose the messages of several servers are, once one client hears them all. Pure but for what a session remembers.

Servers number their own requests (sampling, elicitation, roots, ping; HANDSHAKE), so two members may give one id to
two. At /mcp such an id has its member in front, and the client's response goes to the one that asked. A client lays
answers to its requests by id alone. Rules: only the member that a request went to answers it; a response that
nobody waits for is nobody's; what clients might read in two ways is refused. Else one member would speak, or consent,
for another.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeVar, cast

from mcpgov.frozen import frozen
from mcpgov.messages import ENVELOPE_KEYS, exact, looks_alike, mapping
from mcpgov.policy.listing import invalid

if TYPE_CHECKING:
    from mcpgov.messages import Exact
    from mcpgov.models import Json, JSONRPCId

K = TypeVar("K")
V = TypeVar("V")

MOST: Final = 1000  # messages of either side that a session remembers
LONGEST: Final = 256  # characters of a server's id; a longer one is answered by nobody
CANCELLED: Final = "notifications/cancelled"
_READER: Final = json.JSONDecoder(object_pairs_hook=tuple)  # which keeps a key that stands twice


class Letters:
    """Who waits for whose answer: which member each of a client's requests went to, and what members asked of it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._sent: OrderedDict[Exact, str] = OrderedDict()
        self._asked: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def sent(self, request_id: JSONRPCId | None, member: str) -> None:
        """Note that a request went to a member; it may come back for the answer when the request is over."""
        if (known := exact(request_id)) is not None:
            _note(self._sent, known, member, self._most)

    def owes(self, member: str, request_id: Json) -> bool:
        """Whether the request with this id went to this member."""
        known = exact(request_id)
        return known is not None and self._sent.get(known) == member

    def asked(self, member: str, request_id: Json) -> str:
        """The id at /mcp of a member's request, which the client may answer once."""
        own = json.dumps(request_id)
        made = f"{member}:{own}"
        if isinstance(request_id, str | int) and not isinstance(request_id, bool) and len(own) <= LONGEST:
            _note(self._asked, made, (member, own), self._most)
        return made

    def answered(self, request_id: JSONRPCId | None) -> tuple[str, str] | None:
        """The member that waits for a response with this id, and the id that it gave, as JSON; None for nobody."""
        return self._asked.pop(request_id, None) if isinstance(request_id, str) else None


def _note(notes: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    notes[key] = value
    notes.move_to_end(key)
    if len(notes) > most:
        notes.popitem(last=False)


@frozen
class Renumbered:
    """Keeps a member's messages apart from those of others: implements a policy's Rewriter."""

    member: str
    letters: Letters

    def concerns(self, data: bytes) -> bool:
        """Whether `data` is anything but a plain notification, or the answer to what this member was asked."""
        try:
            read: object = _READER.decode(data.decode())
        except (ValueError, RecursionError):
            return True
        if not isinstance(read, tuple):
            return True
        pairs = cast("tuple[tuple[str, Json], ...]", read)
        message = dict(pairs)
        if len(message) != len(pairs) or looks_alike(message, ENVELOPE_KEYS):
            return True
        if "method" in message:
            return "id" in message or message["method"] == CANCELLED
        return not self.letters.owes(self.member, message.get("id"))

    def rewritten(self, message: dict[str, Json]) -> dict[str, Json]:
        """The message, with the member in front of an id that others may have. Raises Refusal (upstream-invalid)."""
        if looks_alike(message, ENVELOPE_KEYS):
            raise invalid("a key looks like one of JSON-RPC")
        if message.get("method") == CANCELLED and "id" not in message:
            params = mapping(message.get("params"))
            own = f"{self.member}:{json.dumps(params.get('requestId'))}"
            return {**message, "params": {**params, "requestId": own}}
        given = message.get("id")
        if "method" in message:
            return {**message, "id": self.letters.asked(self.member, given)} if "id" in message else message
        nobodys = given is None and "result" not in message  # an error that knows no request
        if nobodys or self.letters.owes(self.member, given):
            return message
        return {**message, "id": f"{self.member}:{json.dumps(given)}"}  # which no client waits for
