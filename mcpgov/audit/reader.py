"""How the ledger is read again: calls, each joined from its records, and the records themselves.

Only values and a Protocol: what is asked, what comes back. Reading never writes, never recovers and never blocks the
gateway that is writing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast

from mcpgov.audit.record import ControlEvent, RecordEvent
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mcpgov.models import Json

    Record = Mapping[str, Json]


OPEN = "open"  # the status of a call that is under way
LATEST: Final = 253_402_300_800_000_000  # microseconds since 1970-01-01 UTC: the year 10000
UNREADABLE: Final = "unreadable"  # the event and the status of what is no record
NOT_A_RECORD: Final = "what stands here is no record of mcpgov; `mcpgov audit verify` says what was changed"
VALUES = {"mcpgov.arguments.value": "Arguments", "mcpgov.answer.value": "Answer"}  # fields that hold JSON


def record_of(text: str | bytes) -> Record:
    """A record from its JSON; where somebody wrote what is none, one that says so, so that all others are still read.

    A record is flat. What is nested, text that is no Unicode, and numbers that no database holds are in none.
    """
    try:
        fields: Any = json.loads(text)
        if isinstance(fields, dict) and all(map(_is_plain, cast("Record", fields).values())):
            return cast("Record", fields)
    except (TypeError, ValueError, RecursionError):
        pass
    return {"event": UNREADABLE, "mcpgov.status": UNREADABLE, "mcpgov.detail": NOT_A_RECORD}


def _is_plain(value: Json) -> bool:
    """Whether a record may hold a value. Raises UnicodeEncodeError for a lone surrogate."""
    if isinstance(value, list):
        return all(not isinstance(one, list) and _is_plain(one) for one in value)
    if isinstance(value, str):
        value.encode()
        return True
    return value is None or (isinstance(value, int | float) and abs(value) < 2**63)


def readable(name: str, value: Json) -> str:
    """The JSON that a field holds, laid out over lines; empty for a field that holds none."""
    if name not in VALUES or not isinstance(value, str):
        return ""
    try:
        return json.dumps(json.loads(value), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):  # somebody else wrote this record
        return value


@frozen
class CallFilter:
    """Which calls are wanted; an empty field does not restrict. `principal` is an id or a name, `since` is included and
    `until` is not. `decision` is `allow` or `deny`. `reason` is that of the decision or of the outcome; `status` is one
    of OutcomeStatus, or `open`. `text` is words that stand in the records. The newest come first unless `oldest_first`.
    With `control`, or for the `reason` of one, control events are wanted too.
    """

    since: datetime | None = None
    until: datetime | None = None
    connection: str = ""
    method: str = ""
    tool: str = ""
    principal: str = ""
    agent: str = ""
    blueprint: str = ""
    project: str = ""
    decision: str = ""
    reason: str = ""
    status: str = ""
    source: str = ""
    correlation: str = ""
    text: str = ""
    limit: int = 100
    oldest_first: bool = False
    control: bool = False

    @property
    def events(self) -> tuple[RecordEvent, ...]:
        """What the records that are looked through are about."""
        calls = (RecordEvent.INTENT, RecordEvent.DENIED)
        return (*calls, RecordEvent.CONTROL) if self.control or self.reason in set(ControlEvent) else calls


@frozen
class Call:
    """One call, or one control event. `begun` is the intent, the denied record or the control record; `ended` is the
    outcome of an intent, None while there is none. `position` grows with every record that ends something.
    """

    position: int
    begun: Record
    ended: Record | None = None

    def get(self, name: str) -> Json:
        """A field of the call: the outcome's where it has it, else that of the record that began it, else None."""
        if self.ended is not None and name in self.ended:
            return self.ended[name]
        return self.begun.get(name)

    @property
    def reason(self) -> Json:
        """Why the call ended as it did, or else why it was let through."""
        return self.get("mcpgov.reason") or self.get("mcpgov.decision.reason") or self.get("mcpgov.control.event")

    @property
    def status(self) -> Json:
        """How the call ended, or that it is under way; None for a control event."""
        return None if self.is_control else self.get("mcpgov.status") or OPEN

    @property
    def fields(self) -> Record:
        """The call as one flat object: the fields of both records, `ts` of the first and `ended_ts` of the second."""
        if self.ended is None:
            return self.begun
        return {
            **self.begun,
            **self.ended,
            "event": "call",
            "ts": self.begun.get("ts"),
            "ended_ts": self.ended.get("ts"),
        }

    @property
    def is_control(self) -> bool:
        """Whether this is about the gateway itself."""
        return self.begun.get("event") == RecordEvent.CONTROL


@frozen
class Following:
    """What came next: the calls that were wanted of it, and how far that reaches."""

    calls: tuple[Call, ...]
    position: int


class AuditReader(Protocol):
    """Reads a ledger; leaving its context lets go of the store. Every method raises StoreUnavailable."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...

    def calls(self, wanted: CallFilter) -> Sequence[Call]:
        """The calls that match, those still under way included, and the control events that are wanted."""
        ...

    def records(self, identifier: str) -> Sequence[Record]:
        """Every record with this call, correlation or trace id, in the order written; `writer` and `seq` in it are its
        place in the chain.

        The beginning of a correlation id is enough, from 8 characters on.
        """
        ...

    def latest(self, count: int) -> Sequence[Call]:
        """The last `count` calls that ended and control events, oldest first."""
        ...

    def after(self, position: int, limit: int) -> Sequence[Call]:
        """At most `limit` calls that ended, and control events, after `position`, oldest first."""
        ...

    def following(self, wanted: CallFilter, position: int, limit: int) -> Following:
        """Of the next `limit` records after `position`, the calls that ended and match, and the control events that are
        wanted, oldest first.
        """
        ...
