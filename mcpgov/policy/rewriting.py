"""Changes what the upstream answers, in JSON and in server-sent events, on its way to the caller.

Nothing that a rewriter is concerned with passes unread: an answer that cannot be decoded is refused (a filter that
gives up and passes the original shows what it should hide: ToolHive 5257). What nobody changes passes byte for byte; a
message that was changed keeps its unknown fields, its order and the other lines of its event.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from mcpgov.errors import Refusal
from mcpgov.messages import LIMITS
from mcpgov.models import Event
from mcpgov.policy.listing import Listing, invalid
from mcpgov.strict_json import dumps, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcpgov.models import Answer, Json
    from mcpgov.policy.draft import Rewriter

_LINE: Final = re.compile(rb"(?P<text>[^\r\n]*)(?P<end>\r\n|\r|\n|\Z)")
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Rewritten:
    """The events of an answer, each rewritten when it is asked for. Not a generator: there is nothing to clean up.

    `size` counts the bytes that went by.
    """

    answer: Answer
    rewriters: tuple[Rewriter, ...]
    size: int = 0
    _events: AsyncIterator[tuple[Event, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self._events = self.answer.events

    def __aiter__(self) -> AsyncIterator[tuple[Event, ...]]:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        events = tuple([self.rewritten(event) for event in await anext(self._events)])
        self.size += sum([len(event.raw) for event in events])
        return events

    def rewritten(self, event: Event) -> Event:
        """The event as the caller may see it; the same object where nothing was changed. Raises Refusal."""
        data = event.data
        if data is None:
            return event
        concerned = [rewriter for rewriter in self.rewriters if rewriter.concerns(data)]
        if not concerned:
            return event
        try:
            message: Json = dict(event.message) if event.message is not None else parse(data, LIMITS)
        except Refusal as refusal:
            if all(isinstance(rewriter, Listing) and rewriter.only_learns for rewriter in concerned):
                return event  # nobody needs to have read it
            raise invalid(refusal.message) from None
        shown = _shown(message, concerned)
        if shown == message:
            return event
        return with_message(event, shown, streaming=self.answer.streaming)


def with_message(event: Event, message: Json, *, streaming: bool) -> Event:
    """The event with another message: what a server-sent event says besides stays."""
    changed = with_data(event, dumps(message), streaming=streaming)
    return replace(changed, message=message if isinstance(message, dict) else None)


def with_data(event: Event, data: bytes, *, streaming: bool) -> Event:
    """The same, where the message is there as text."""
    return Event(_with_other_data(event.raw, data) if streaming else data, data)


def _shown(message: Json, rewriters: list[Rewriter]) -> Json:
    if isinstance(message, list):
        return [_shown(part, rewriters) for part in message]
    if not isinstance(message, dict):
        raise invalid("a message is no JSON object")
    for rewriter in rewriters:
        message = rewriter.rewritten(message)
    return message


def _with_other_data(raw: bytes, data: bytes) -> bytes:
    """The same server-sent event with other data on one line; id, event, retry and comments stay as they were."""
    lines = [line for line in _LINE.finditer(raw.removeprefix(_BOM)) if line["text"] and not _is_data(line["text"])]
    return b"".join([line["text"] + b"\n" for line in lines]) + b"data: " + data + b"\n\n"


def _is_data(line: bytes) -> bool:
    return line == b"data" or line.startswith(b"data:")
