"""What servers ask of the client while they answer it (sampling, elicitation, roots, ping), HANDSHAKE era. Pure.

Servers number their own requests, so two members may give one id to two. At /mcp an id has its member in front, and the
client's response goes where that says. Rule: an id that was not made here is nobody's, and its response is dropped.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mcpgov.models import Json, JSONRPCId

_NUMBERED: Final = re.compile(r"([a-z0-9-]+):(-?[0-9]+|\".*\")", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Renumbered:
    """Rewrites the requests in a member's answer: implements a policy's Rewriter."""

    member: str

    def concerns(self, data: bytes) -> bool:
        """Whether a request may be in `data`."""
        return b'"method"' in data and b'"id"' in data

    def rewritten(self, message: dict[str, Json]) -> dict[str, Json]:
        """The message, with the member in front of the id of a request."""
        if "method" not in message or "id" not in message:
            return message
        return {**message, "id": f"{self.member}:{json.dumps(message['id'])}"}


def asked_by(request_id: JSONRPCId | None) -> tuple[str, str] | None:
    """The member whose request has this id at /mcp, and the id that it gave, as JSON; None for an id of nobody."""
    made = _NUMBERED.fullmatch(request_id) if isinstance(request_id, str) else None
    return (made[1], made[2]) if made else None
