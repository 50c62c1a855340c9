"""The records, and their canonical JSON: what an auditor reads, what a store keeps, what an export sends.

Pure. One flat object a record, keys sorted, no white space, UTF-8, whole numbers only: RFC 8785 for everything written
here. A name that OpenTelemetry defines is used as it stands (`mcp.method.name`, `gen_ai.tool.name`), every other begins
with `mcpgov.`; only the record's own identity (`v event ts call_id correlation_id trace_id span_id`) has plain names.
What is not known is left out. Text that a caller chose is cut to a bound; arguments are here as a fingerprint, and as a
text of redacted JSON where a rule says so.
"""

from __future__ import annotations

from dataclasses import field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from mcpgov.audit.control_events import ControlEvent
from mcpgov.audit.fields import (
    WHOLE,
    Fields,
    canonical,
    joined,
    member,
    number,
    of_arguments,
    of_credential,
    of_decision,
    of_request,
    of_tools,
    of_value,
    skeleton,
    truth,
)
from mcpgov.audit.levels import Level
from mcpgov.audit.phrases import NOBODY, Phrases
from mcpgov.audit.redact import LONG_TEXT, clip
from mcpgov.errors import ANSWERS
from mcpgov.frozen import frozen
from mcpgov.models import OutcomeStatus
from mcpgov.trace_context import context_of, span_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcpgov.audit.redact import Fingerprint
    from mcpgov.audit.tool_sets import ToolSet
    from mcpgov.audit.values import Redacted
    from mcpgov.decision import Decision, Reason
    from mcpgov.models import Connection, Credential, MCPRequest, Principal, RequestHead

VERSION: Final = 1
CLAIMED_AGENT: Final = ("x-ms-agentid", "agent-id")  # what platforms say of the agent: recorded, and never believed
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Detail = str | int | list[str]


class RecordEvent(StrEnum):
    """What a record is about."""

    INTENT = "intent"  # a call is about to be forwarded
    OUTCOME = "outcome"  # how that ended
    DENIED = "denied"  # a call that was never forwarded, whole
    CONTROL = "control"  # something about the gateway itself


class Durability(StrEnum):
    """What a record outlives once it is called written, in the words of `audit.durability`."""

    DURABLE = "durable"  # the process, the system and a loss of power
    OS_CACHE = "os-cache"  # the process


class OutcomeOrder(StrEnum):
    """Which comes first, the outcome on the disk or the end of the answer at the client; as in `audit.outcome`."""

    AFTER_REPLY = "after-reply"
    BEFORE_REPLY = "before-reply"


class Row(NamedTuple):
    """What a store keeps of one record: the columns that are searched, and the whole record as canonical JSON.

    `final` is 1 for the record that ends a call and 0 otherwise; a store holds at most one row for each call and
    `final`. `at` is microseconds since 1970-01-01 UTC.
    """

    call_id: str | None
    final: int
    event: str
    at: int
    connection: str | None = None
    method: str | None = None
    tool: str | None = None
    principal: str | None = None
    principal_name: str | None = None
    project: str | None = None
    reason: str | None = None
    status: str | None = None
    source: str | None = None
    correlation_id: str | None = None
    trace_id: str | None = None
    record: str = ""


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds and `Z`."""
    return f"{at.astimezone(UTC).isoformat(timespec='microseconds')[:-6]}Z"


def microseconds(at: datetime) -> int:
    """Microseconds since 1970-01-01 UTC."""
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


class Facts(NamedTuple):
    """What is known of a call at the moment it is written down. `session` is the digest of the session's id; `value`
    are the arguments, where a rule wants them.
    """

    call_id: str
    at: datetime
    snapshot: str
    head: RequestHead
    principal: Principal | None = None
    request: MCPRequest | None = None
    connection: Connection | None = None
    decision: Decision | None = None
    credential: Credential | None = None
    arguments: Fingerprint | None = None
    session: str = ""
    durability: Durability = Durability.DURABLE
    level: Level = Level.METADATA
    value: Redacted | None = None


class IntentRecord(NamedTuple):
    """Durable before the first byte leaves for the upstream."""

    facts: Facts

    def row(self, phrases: Phrases | None = None) -> Row:
        """The record as a store keeps it. `phrases` are those of the ledger, which spare it some words."""
        decision = self.facts.decision
        reason = decision.reason if decision else None
        return _call_row(self.facts, of_decision(decision, "allow", reason), phrases, reason=reason)


class DeniedRecord(NamedTuple):
    """A call that was never forwarded: refused, or given up by its caller before there was an intent."""

    facts: Facts
    reason: Reason
    status: OutcomeStatus = OutcomeStatus.DENIED
    detail: str = ""
    as_tool_result: bool = False
    total: int | None = None  # microseconds from the head of the request to this record

    def row(self, phrases: Phrases | None = None) -> Row:
        """The record as a store keeps it. `phrases` are those of the ledger."""
        told = ANSWERS.get(self.reason)
        effect = "deny" if self.status is OutcomeStatus.DENIED else ""
        members = (
            *of_decision(self.facts.decision, effect, self.reason),
            member("mcpgov.status", self.status),
            member("mcpgov.detail", self.detail, LONG_TEXT),
            number("http.response.status_code", 200 if self.as_tool_result else told and told.status),
            number("mcpgov.latency.total_us", self.total),
        )
        return _call_row(self.facts, members, phrases, status=self.status, reason=self.reason)


class Latency(NamedTuple):
    """Microseconds: `decision` until the intent was handed over, `audit` until it was durable, `upstream` from there to
    the head of the answer, `total` until the outcome.
    """

    decision: int | None = None
    audit: int | None = None
    upstream: int | None = None
    total: int | None = None


class AnswerSeen(NamedTuple):
    """What passed by of an answer. `complete`: the message that answers the request was seen; None where none is due or
    it was too large to look into. `code` is the upstream's JSON-RPC error code. `size` is in bytes. `attempts` is more
    than 1 where a policy had it asked for again. `value` is the result or the error, where a rule wants it.
    """

    status: int
    events: int = 0
    size: int = 0
    complete: bool | None = None
    is_error: bool | None = None
    code: int | None = None
    attempts: int = 1
    value: Redacted | None = None


class OutcomeRecord(NamedTuple):
    """How a call ended for which there is an intent."""

    call_id: str
    at: datetime
    status: OutcomeStatus
    reason: Reason | None = None
    detail: str = ""
    correlation_id: str = ""
    trace_id: str = ""
    seen: AnswerSeen | None = None
    latency: Latency = Latency()
    durability: Durability = Durability.DURABLE
    order: OutcomeOrder | None = None  # of a call that a crash left open, nobody knows it
    level: Level = Level.METADATA
    tools: ToolSet | None = None

    def row(self) -> Row:
        """The record as a store keeps it."""
        latency, seen = self.latency, self.seen
        members: Iterable[str] = (
            *_identity(RecordEvent.OUTCOME, self.at, self.call_id, self.correlation_id, self.trace_id),
            *(_seen(seen) if seen else ()),
            member("mcpgov.detail", self.detail, LONG_TEXT),
            f'"mcpgov.durability":"{self.durability}"',
            number("mcpgov.latency.audit_us", latency.audit),
            number("mcpgov.latency.decision_us", latency.decision),
            number("mcpgov.latency.total_us", latency.total),
            number("mcpgov.latency.upstream_us", latency.upstream),
            f'"mcpgov.outcome":"{self.order}"' if self.order else "",
            f'"mcpgov.reason":"{self.reason}"' if self.reason else "",
            f'"mcpgov.status":"{self.status}"',
            of_tools(self.tools),
        )
        return Row(
            call_id=self.call_id,
            final=1,
            event=str(RecordEvent.OUTCOME),
            at=microseconds(self.at),
            reason=self.reason and str(self.reason),
            status=str(self.status),
            correlation_id=self.correlation_id or None,
            trace_id=self.trace_id or None,
            record=joined(skeleton(members) if self.level is Level.NONE else members),
        )


@frozen
class ControlRecord:
    """Something that happened to the gateway itself; `details` are written as `mcpgov.control.<name>`.

    Those named `connection`, `principal`, `source` and `correlation_id` are found like those of a call.
    """

    event: ControlEvent
    at: datetime
    details: Mapping[str, Detail] = field(default_factory=dict[str, Detail])
    durability: Durability = Durability.DURABLE

    def row(self) -> Row:
        """The record as a store keeps it."""
        fields: Fields = {"v": VERSION, "event": RecordEvent.CONTROL, "ts": timestamp(self.at)}
        fields |= {"mcpgov.control.event": self.event, "mcpgov.durability": self.durability}
        for name, value in self.details.items():
            fields[f"mcpgov.control.{name}"] = clip(value, LONG_TEXT) if isinstance(value, str) else value
        return Row(
            call_id=None,
            final=0,
            event=RecordEvent.CONTROL.value,
            at=microseconds(self.at),
            connection=self._column("connection"),
            principal=self._column("principal"),
            reason=self.event.value,
            source=self._column("source"),
            correlation_id=self._column("correlation_id"),
            record=canonical(fields),
        )

    def _column(self, name: str) -> str | None:
        return clip(str(self.details.get(name, ""))) or None


def _call_row(
    facts: Facts,
    decided: tuple[str, ...],
    phrases: Phrases | None,
    *,
    reason: Reason | None,
    status: OutcomeStatus | None = None,
) -> Row:
    """The row of an intent, which has no status, or of a denial. What was decided is told already."""
    head, request, phrases = facts.head, facts.request, phrases or Phrases()
    event = RecordEvent.DENIED if status else RecordEvent.INTENT
    trace = context_of(head, request)
    caller = phrases.caller(facts.principal) if facts.principal else NOBODY
    members = (
        *_identity(event, facts.at, facts.call_id, head.correlation_id, trace.trace_id),
        *_of_head(facts, trace.parent_span_id),
        caller.members,
        *(of_request(request) if request else ()),
        *of_arguments(facts.arguments, facts.value),
        _where(facts, phrases),
        *of_credential(facts.credential, facts.decision),
        *decided,
    )
    return Row(
        call_id=facts.call_id,
        final=1 if status else 0,
        event=str(event),
        at=microseconds(facts.at),
        connection=clip(head.connection) or None,
        method=clip(request.method) or None if request else None,
        tool=clip(request.tool) or None if request else None,
        principal=caller.id,
        principal_name=caller.name,
        project=caller.project,
        reason=reason and str(reason),
        status=status and str(status),
        source=clip(head.source_address) or None,
        correlation_id=clip(head.correlation_id) or None,
        trace_id=clip(trace.trace_id) or None,
        record=joined(skeleton(members) if facts.level is Level.NONE else members),
    )


def _identity(event: RecordEvent, at: datetime, call_id: str, correlation: str, trace: str) -> tuple[str, ...]:
    return (
        member("call_id", call_id, WHOLE),
        member("correlation_id", correlation, WHOLE),
        f'"event":"{event}"',
        member("span_id", span_id_of(correlation), WHOLE),
        member("trace_id", trace, WHOLE),
        f'"ts":"{timestamp(at)}"',
        f'"v":{VERSION}',
    )


def _of_head(facts: Facts, parent_span_id: str) -> tuple[str, ...]:
    head = facts.head
    header = head.headers.get
    return (
        member("client.address", head.source_address, WHOLE),
        member("http.request.method", head.http_method),
        member("mcpgov.agent.claimed", header(CLAIMED_AGENT[0]) or header(CLAIMED_AGENT[1])),
        member("mcpgov.aggregate", head.aggregate, WHOLE),
        member("mcpgov.connection", head.connection),
        member("mcpgov.correlation_id.claimed", head.claimed_correlation_id),
        f'"mcpgov.durability":"{facts.durability}"',
        "" if facts.level is Level.METADATA else f'"mcpgov.level":"{facts.level}"',
        member("mcpgov.parent_span_id", parent_span_id, WHOLE),
        member("mcpgov.session.digest", facts.session, WHOLE),
        member("mcpgov.snapshot", facts.snapshot, WHOLE),
        member("network.peer.address", head.peer, WHOLE),
        member("user_agent.original", header("user-agent")),
    )


def _where(facts: Facts, phrases: Phrases) -> str:
    decision = facts.decision
    return phrases.upstream(facts.connection, decision and decision.changes.backend) if facts.connection else ""


def _seen(seen: AnswerSeen) -> tuple[str, ...]:
    return (
        f'"http.response.status_code":{seen.status}',
        truth("mcpgov.answer.complete", said=seen.complete),
        f'"mcpgov.answer.events":{seen.events}',
        truth("mcpgov.answer.is_error", said=seen.is_error),
        f'"mcpgov.answer.size":{seen.size}',
        *of_value("answer", seen.value),
        f'"mcpgov.upstream.attempts":{seen.attempts}' if seen.attempts > 1 else "",
        "" if seen.code is None else f'"rpc.response.status_code":"{seen.code}"',
    )
