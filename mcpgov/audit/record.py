"""The records, and their canonical JSON: what an auditor reads, what a store keeps, what an export sends.

Pure. One flat object a record, keys sorted, no white space, UTF-8, whole numbers only: RFC 8785 for everything written
here. A name that OpenTelemetry defines is used as it stands (`mcp.method.name`, `gen_ai.tool.name`), every other begins
with `mcpgov.`; only the record's own identity (`v event ts call_id correlation_id trace_id span_id`) has plain names.
What is not known is left out. Text that a caller chose is cut to a bound; arguments are here as a fingerprint, and as a
text of redacted JSON where a rule says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from mcpgov.audit.control_events import ControlEvent
from mcpgov.audit.fields import (
    Fields,
    of_arguments,
    of_credential,
    of_decision,
    of_principal,
    of_request,
    of_tools,
    of_upstream,
    of_value,
    skeleton,
)
from mcpgov.audit.levels import Level
from mcpgov.audit.redact import LONG_TEXT, clip, encodable
from mcpgov.errors import ANSWERS
from mcpgov.models import OutcomeStatus
from mcpgov.trace_context import context_of, span_id_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.audit.redact import Fingerprint
    from mcpgov.audit.tool_sets import ToolSet
    from mcpgov.audit.values import Redacted
    from mcpgov.decision import Decision, Reason
    from mcpgov.models import Connection, Credential, MCPRequest, Principal, RequestHead

VERSION = 1
CLAIMED_AGENT = ("x-ms-agentid", "agent-id")  # what platforms say of the agent: recorded, and never believed
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Detail = str | int | list[str]
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


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


def canonical(fields: Fields) -> str:
    """The canonical JSON of a record's fields; those that hold None or the empty string are left out."""
    text = _ENCODER.encode({name: value for name, value in fields.items() if value is not None and value != ""})
    return encodable(text)


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds and `Z`."""
    return f"{at.astimezone(UTC).isoformat(timespec='microseconds')[:-6]}Z"


def microseconds(at: datetime) -> int:
    """Microseconds since 1970-01-01 UTC."""
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


@dataclass(frozen=True, slots=True)
class Facts:
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


@dataclass(frozen=True, slots=True)
class IntentRecord:
    """Durable before the first byte leaves for the upstream."""

    facts: Facts

    def row(self) -> Row:
        """The record as a store keeps it."""
        reason = self.facts.decision.reason if self.facts.decision else None
        fields = _facts(self.facts, RecordEvent.INTENT) | of_decision(self.facts.decision, "allow", reason)
        return _call_row(self.facts, fields, status=None, reason=reason)


@dataclass(frozen=True, slots=True)
class DeniedRecord:
    """A call that was never forwarded: refused, or given up by its caller before there was an intent."""

    facts: Facts
    reason: Reason
    status: OutcomeStatus = OutcomeStatus.DENIED
    detail: str = ""
    as_tool_result: bool = False
    total: int | None = None  # microseconds from the head of the request to this record

    def row(self) -> Row:
        """The record as a store keeps it."""
        told = ANSWERS.get(self.reason)
        effect = "deny" if self.status is OutcomeStatus.DENIED else ""
        fields = _facts(self.facts, RecordEvent.DENIED) | of_decision(self.facts.decision, effect, self.reason)
        fields |= {
            "mcpgov.status": self.status,
            "mcpgov.detail": clip(self.detail, LONG_TEXT),
            "http.response.status_code": 200 if self.as_tool_result else told and told.status,
            "mcpgov.latency.total_us": self.total,
        }
        if self.facts.level is Level.NONE:
            fields = skeleton(fields)
        return _call_row(self.facts, fields, status=self.status, reason=self.reason)


@dataclass(frozen=True, slots=True)
class Latency:
    """Microseconds: `decision` until the intent was handed over, `audit` until it was durable, `upstream` from there to
    the head of the answer, `total` until the outcome.
    """

    decision: int | None = None
    audit: int | None = None
    upstream: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class AnswerSeen:
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


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """How a call ended for which there is an intent."""

    call_id: str
    at: datetime
    status: OutcomeStatus
    reason: Reason | None = None
    detail: str = ""
    correlation_id: str = ""
    trace_id: str = ""
    seen: AnswerSeen | None = None
    latency: Latency = field(default_factory=Latency)
    durability: Durability = Durability.DURABLE
    order: OutcomeOrder | None = None  # of a call that a crash left open, nobody knows it
    level: Level = Level.METADATA
    tools: ToolSet | None = None

    def row(self) -> Row:
        """The record as a store keeps it."""
        fields = _identity(RecordEvent.OUTCOME, self.at, self.call_id, self.correlation_id, self.trace_id)
        fields |= {
            "mcpgov.durability": self.durability,
            "mcpgov.outcome": self.order,
            "mcpgov.status": self.status,
            "mcpgov.reason": self.reason,
            "mcpgov.detail": clip(self.detail, LONG_TEXT),
            "mcpgov.latency.decision_us": self.latency.decision,
            "mcpgov.latency.audit_us": self.latency.audit,
            "mcpgov.latency.upstream_us": self.latency.upstream,
            "mcpgov.latency.total_us": self.latency.total,
        }
        fields |= of_tools(self.tools)
        if self.seen is not None:
            fields |= _seen(self.seen)
        if self.level is Level.NONE:
            fields = skeleton(fields)
        return Row(
            call_id=self.call_id,
            final=1,
            event=RecordEvent.OUTCOME.value,
            at=microseconds(self.at),
            reason=self.reason.value if self.reason else None,
            status=self.status.value,
            correlation_id=self.correlation_id or None,
            trace_id=self.trace_id or None,
            record=canonical(fields),
        )


@dataclass(frozen=True, slots=True)
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


def _call_row(facts: Facts, fields: Fields, *, status: OutcomeStatus | None, reason: Reason | None) -> Row:
    request, principal = facts.request, facts.principal
    return Row(
        call_id=facts.call_id,
        final=0 if status is None else 1,
        event=(RecordEvent.INTENT if status is None else RecordEvent.DENIED).value,
        at=microseconds(facts.at),
        connection=clip(facts.head.connection) or None,
        method=clip(request.method) or None if request else None,
        tool=clip(request.tool) or None if request else None,
        principal=clip(principal.id) or None if principal else None,
        principal_name=clip(principal.name) or None if principal else None,
        project=clip(principal.project) or None if principal else None,
        reason=reason.value if reason else None,
        status=status.value if status else None,
        source=clip(facts.head.source_address) or None,
        correlation_id=clip(facts.head.correlation_id) or None,
        trace_id=clip(context_of(facts.head, facts.request).trace_id) or None,
        record=canonical(fields),
    )


def _identity(event: RecordEvent, at: datetime, call_id: str, correlation: str, trace: str) -> Fields:
    return {
        "v": VERSION,
        "event": event,
        "ts": timestamp(at),
        "call_id": call_id,
        "correlation_id": correlation,
        "trace_id": trace,
        "span_id": span_id_of(correlation),
    }


def _facts(facts: Facts, event: RecordEvent) -> Fields:
    head, trace = facts.head, context_of(facts.head, facts.request)
    fields = _identity(event, facts.at, facts.call_id, head.correlation_id, trace.trace_id)
    fields |= {
        "mcpgov.parent_span_id": trace.parent_span_id,
        "http.request.method": clip(head.http_method),
        "network.peer.address": head.peer,
        "client.address": head.source_address,
        "user_agent.original": clip(head.headers.get("user-agent")),
        "mcpgov.correlation_id.claimed": clip(head.claimed_correlation_id),
        "mcpgov.connection": clip(head.connection),
        "mcpgov.aggregate": head.aggregate,
        "mcpgov.agent.claimed": clip(next((value for name in CLAIMED_AGENT if (value := head.headers.get(name))), "")),
        "mcpgov.snapshot": facts.snapshot,
        "mcpgov.durability": facts.durability,
        "mcpgov.session.digest": facts.session,
        "mcpgov.level": None if facts.level is Level.METADATA else facts.level,
    }
    if facts.principal is not None:
        fields |= of_principal(facts.principal)
    if facts.request is not None:
        fields |= of_request(facts.request)
    fields |= of_arguments(facts.arguments, facts.value)
    if facts.connection is not None:
        fields |= of_upstream(facts.connection, facts.decision.changes.backend if facts.decision else None)
    if facts.credential is not None:
        fields |= of_credential(facts.credential)
    return skeleton(fields) if facts.level is Level.NONE else fields


def _seen(seen: AnswerSeen) -> Fields:
    return {
        "http.response.status_code": seen.status,
        "rpc.response.status_code": None if seen.code is None else str(seen.code),
        "mcpgov.answer.is_error": seen.is_error,
        "mcpgov.answer.complete": seen.complete,
        "mcpgov.answer.events": seen.events,
        "mcpgov.answer.size": seen.size,
        "mcpgov.upstream.attempts": seen.attempts if seen.attempts > 1 else None,
    } | of_value("answer", seen.value)
