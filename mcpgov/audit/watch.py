"""What is seen of an answer as it passes: its size, its events, and whether it answered, failed, or was cut.

Looks and never touches: the same objects go on, in the same order, at the same time, and nothing that cannot be read
here makes a call fail. An answer that is larger than what is looked into is counted and passed on. Messages are read as
the upstream stage reads them; one that cannot be read, and yet may be the answer to a client, is said to be that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from mcpgov.audit.record import AnswerSeen
from mcpgov.audit.tool_sets import listed
from mcpgov.decision import Reason
from mcpgov.messages import answers, error_code, mapping, may_answer, message_in, parse_message
from mcpgov.models import Answer, Era, Kind, OutcomeStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mcpgov.audit.tool_sets import ToolSet
    from mcpgov.audit.values import Redacted
    from mcpgov.messages import Message
    from mcpgov.models import Event, Json, JSONRPCId, MCPRequest

LARGEST = 1 << 20  # bytes of one message that is looked into; parsing more would hold up every other call
LIST_METHOD = "tools/list"
_FAILED = 400  # the first HTTP status that says no


class Final(NamedTuple):
    """The message that answers a request; `body` is its result or error."""

    is_error: bool = False
    code: int | None = None
    body: Json = None


def final_message(message: Message | None, request_id: JSONRPCId) -> Final | None:
    """The answer to `request_id` that a message is; None where it is no such thing, or could not be read."""
    if message is None or not answers(message, request_id):
        return None
    if "error" in message:
        code = error_code(message)
        return Final(code=code if isinstance(code, int) else 0, body=message["error"])
    return Final(is_error=mapping(message["result"]).get("isError") is True, body=message["result"])


class AnswerWatch:
    """The events of one answer, noted as they pass. `seen` and `status` say what came by so far. `keep` makes of a
    result or an error what is recorded of it; without one, nothing of it is kept.
    """

    def __init__(
        self,
        answer: Answer,
        request: MCPRequest | None,
        keep: Callable[[Json], Redacted] | None = None,
        *,
        largest: int = LARGEST,
    ) -> None:
        self._answer = answer
        self._keep = keep
        self._largest = largest
        self._awaited = request.id if request is not None and request.kind is Kind.REQUEST else None
        # Before 2026 a server may end a stream early, and give the rest to a client that comes back for it.
        self._owed = answer.streaming and request is not None and request.era is Era.STATELESS
        self._events = 0
        self._size = 0
        self._final: Final | None = None
        self._unread = False
        self._may_be_complete = False
        self._value: Redacted | None = None

    @property
    def answer(self) -> Answer:
        """The same answer, watched."""
        return with_events(self._answer, self)

    def __aiter__(self) -> AnswerWatch:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        events = await anext(self._answer.events)
        for event in events:
            self._note(event)
        return events

    def _note(self, event: Event) -> None:
        self._events += 1
        self._size += len(event.raw)
        data = event.data
        if data is None or self._awaited is None or self._final is not None:
            return
        message = event.message or (None if len(data) > self._largest else parse_message(data))
        if message is not None and message.get("method"):
            return  # a request or a notification, which answers nothing
        final = final_message(message, self._awaited)
        self._final = final if final is None or self._keep else Final(final.is_error, final.code)
        self._unread |= message is None
        self._may_be_complete |= may_answer(message)

    @property
    def streaming(self) -> bool:
        """Whether the answer comes in events, the last of which completes it."""
        return self._answer.streaming

    @property
    def may_be_complete(self) -> bool:
        """Whether the message that answers the request came by, or one that a client may take for it."""
        return self._may_be_complete

    @property
    def status(self) -> OutcomeStatus:
        """How the call ended, as far as the answer says."""
        if self._answer.status >= _FAILED or (self._final is not None and self._final.code is not None):
            return OutcomeStatus.RPC_ERROR
        if self._owed and self._complete is False:
            return OutcomeStatus.FAILED
        return OutcomeStatus.TOOL_ERROR if self._final is not None and self._final.is_error else OutcomeStatus.OK

    def refused(self, reason: Reason) -> OutcomeStatus:
        """How the call ended, where it was refused while the answer passed: a stream that passed a bound was cut."""
        cut = self._answer.streaming and reason is Reason.UPSTREAM_TOO_LARGE
        return OutcomeStatus.TRUNCATED if cut else OutcomeStatus.FAILED

    @property
    def _complete(self) -> bool | None:
        known = self._awaited is not None and (self._final is not None or not self._unread)
        return (self._final is not None) if known else None

    @property
    def seen(self) -> AnswerSeen:
        """What passed by so far."""
        final = self._final
        if final and self._keep and self._value is None:  # redacted once: the record and every observer ask
            self._value = self._keep(final.body)
        return AnswerSeen(
            status=self._answer.status,
            events=self._events,
            size=self._size,
            complete=self._complete,
            is_error=final.is_error if final else None,
            code=final.code if final else None,
            attempts=self._answer.attempts,
            value=self._value,
        )


def with_events(answer: Answer, events: AsyncIterator[tuple[Event, ...]]) -> Answer:
    """The same answer with these events. Made by its places: `replace` costs as much as all the watching."""
    return Answer(answer.status, answer.headers, answer.streaming, events, answer.reply, answer.attempts)


class ToolWatch:
    """The events of one answer to a tools/list, looked into as they pass. It is put before any policy, so that all
    callers of a connection leave the same digest for as long as the server lists the same.
    """

    def __init__(self, answer: Answer, request: MCPRequest) -> None:
        self.tools: ToolSet | None = None
        self._events = answer.events
        self._cursor = request.params.get("cursor")
        self._awaited = cast("JSONRPCId", request.id)

    @staticmethod
    def concerns(request: MCPRequest | None) -> bool:
        """Whether the answer to a request is a list of tools."""
        return request is not None and request.kind is Kind.REQUEST and request.method == LIST_METHOD

    def __aiter__(self) -> ToolWatch:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        events = await anext(self._events)
        for event in events:
            if self.tools is None and event.data is not None and len(event.data) <= LARGEST:
                final = final_message(message_in(event), self._awaited)
                self.tools = listed(final.body, self._cursor) if final else None
        return events
