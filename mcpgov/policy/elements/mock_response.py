"""mock-response: answers in place of the server, with an empty result.

As in Azure API Management: `status-code` 200 and `content-type` application/json unless said otherwise. That platform
answers with an example from the API's description; an MCP server has none, so a request gets the emptiest result that
its method has, and whatever else comes (a notification, a stream that is opened) 202 and nothing. Any other status has
an empty body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import HeaderEdit, Reason, Reply
from mcpgov.frozen import frozen
from mcpgov.models import Era, Kind
from mcpgov.policy.attributes import Text, WholeNumber
from mcpgov.policy.draft import Denial
from mcpgov.policy.element import PlainElement
from mcpgov.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Json, MCPRequest
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.place import Attribute, Place

OK: Final = 200
ACCEPTED: Final = 202
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
RESULTS: Final[Mapping[str, dict[str, Json]]] = {
    "tools/call": {"content": [{"type": "text", "text": "mock"}]},
    "tools/list": {"tools": []},
}
STATUS: Final = WholeNumber("status-code", "the HTTP status", 200, 599, OK)
TYPE: Final = Text("content-type", f"{JSON}, or {EVENTS}", JSON)


@frozen
class MockResponse(PlainElement):
    """An answer that nobody gave."""

    name: ClassVar[str] = "mock-response"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (STATUS, TYPE)
    status: int
    media: str

    @classmethod
    def load(cls, place: Place) -> Self:
        """`status-code` and `content-type`."""
        media = TYPE.read(place).lower()
        if media not in (JSON, EVENTS):
            place.at(TYPE.name).note(f"an MCP server answers with {JSON} or {EVENTS}", "use one of them")
        if place.dialect.xml:
            place.remark(
                "API Management answers with an example of the operation, mcpgov with an empty result", at_key=True
            )
        return cls(STATUS.read(place), media)

    def decide(self, draft: Draft, /) -> Denial | None:
        """Answer."""
        return Denial(Reason.POLICY_RESPONSE, "A policy answered this call itself.", reply=self._reply(draft))

    def _reply(self, draft: Draft) -> Reply:
        request = draft.context.request
        if self.status != OK:
            return Reply(self.status, (), b"")
        if request.kind is not Kind.REQUEST:
            return Reply(ACCEPTED, (), b"")
        message = dumps({"jsonrpc": "2.0", "id": request.id, "result": _result(request)})
        body = message if self.media == JSON else b"event: message\ndata: " + message + b"\n\n"
        return Reply(OK, (HeaderEdit("content-type", "override", (self.media,)),), body)


def _result(request: MCPRequest) -> dict[str, Json]:
    result = RESULTS.get(request.method, {})
    return {"resultType": "complete", **result} if request.era is Era.STATELESS else result
