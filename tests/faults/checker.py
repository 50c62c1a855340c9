"""Joins what the client saw, what the upstream did and what the ledger says, and names every call that does not add up.

Calls are told apart by their JSON-RPC id, which is unique here and passes unchanged. It is meant to be run when no call
is under way: after a restart, or after the end. An upstream that has a credential of its own expects `key-of-` and the
name of the connection that leads to it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SETTLED = {"ok", "tool-error", "rpc-error", "failed", "cancelled", "client-gone", "not-sent", "unknown"}

WHY = ("mcpgov.decision.reason", "mcpgov.reason")


@dataclass(frozen=True)
class Finding:
    """One thing that does not add up."""

    kind: str
    call: str


@dataclass(frozen=True)
class ClientEntry:
    """What the client knows of one call: `result`, `refused` (with a reason), or `nothing` if the line went dead."""

    id: str
    got: str
    reason: str = ""
    correlation_id: str = ""


@dataclass(frozen=True)
class UpstreamEntry:
    """One execution in the upstream's own ledger. `ts` is RFC 3339 in UTC with microseconds. `connection` is the one
    that leads to this upstream; the others are what it saw. What it does not note is empty.
    """

    id: str
    ts: str
    correlation_id: str = ""
    connection: str = ""
    credential: str = ""


@dataclass(frozen=True)
class Kept:
    """One row of the ledger as it lies in the store."""

    writer: str
    seq: int
    call_id: str | None
    record: str


Records = Mapping[str, Sequence[Mapping[str, Any]]]  # by call id


def check(client: Iterable[ClientEntry], upstream: Sequence[UpstreamEntry], kept: Sequence[Kept]) -> list[Finding]:
    """Everything that is wrong; nothing, if no call went unaudited and no intent is left without its one outcome."""
    found, calls = read(kept)
    found += numbering(kept)
    by_id: dict[str, list[str]] = defaultdict(list)
    for call_id, records in calls.items():
        for record in records:
            if "jsonrpc.request.id" in record:
                by_id[record["jsonrpc.request.id"]].append(call_id)
        found += (Finding(kind, call_id) for kind in life(records))
    found += (Finding("doubled-call", one) for one, call_ids in by_id.items() if len(set(call_ids)) > 1)
    executed = {entry.id for entry in upstream}
    of_id = {one: [record for call_id in call_ids for record in calls[call_id]] for one, call_ids in by_id.items()}
    found += executions(upstream, of_id)
    for entry in client:
        found += (Finding(kind, entry.id) for kind in answers(entry, executed, of_id.get(entry.id, ())))
    return found


def table(client: Sequence[ClientEntry], upstream: Sequence[UpstreamEntry], kept: Sequence[Kept]) -> Counter[str]:
    """How many calls ended how for their client, and beside them what was found, by kind."""
    found = Counter(finding.kind for finding in check(client, upstream, kept))
    names = {"result": "answered", "nothing": "line went dead", "refused": "refused"}
    ends = Counter("not made" if one.reason == "audit-unavailable" else names[one.got] for one in client)
    return ends + found


def read(kept: Sequence[Kept]) -> tuple[list[Finding], Records]:
    """The records of each call, and those that cannot be read or are not what their columns say."""
    found: list[Finding] = []
    calls: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in kept:
        try:
            record = json.loads(row.record)
        except ValueError:
            found.append(Finding("broken-record", str(row.call_id)))
            continue
        if record.get("call_id") != row.call_id:
            found.append(Finding("foreign-record", str(row.call_id)))
        elif row.call_id is not None:
            calls[row.call_id].append(record)
    return found, calls


def numbering(kept: Sequence[Kept]) -> Iterator[Finding]:
    """The rows of each writer are numbered 1, 2, 3, … in the order they were kept."""
    next_of: Counter[str] = Counter()
    for row in kept:
        next_of[row.writer] += 1
        if row.seq != next_of[row.writer]:
            yield Finding("gap", f"{row.writer} {row.seq}")
            next_of[row.writer] = row.seq


def life(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Whether one call has the records of one call."""
    events = Counter(record["event"] for record in records)
    if events["intent"] > 1:
        yield "duplicate-intent"
    if events["intent"] and not events["outcome"]:
        yield "lost-outcome"
    if events["outcome"] > 1:
        yield "duplicate-outcome"
    if events["outcome"] and not events["intent"]:
        yield "orphan-outcome"
    if events["denied"] and (events["intent"] or events["denied"] > 1):
        yield "denied-and-more"
    if any(record.get("mcpgov.status") not in SETTLED for record in records if record["event"] == "outcome"):
        yield "no-such-outcome"


def executions(upstream: Sequence[UpstreamEntry], of_id: Records) -> Iterator[Finding]:
    """Every execution has an intent from before it, happened once, and was not called something else."""
    for call, times in Counter(entry.id for entry in upstream).items():
        if times > 1:
            yield Finding("executed-twice", call)
    for entry in upstream:
        records = of_id.get(entry.id, ())
        intents = [record for record in records if record["event"] == "intent"]
        if not intents:
            yield Finding("lost-intent", entry.id)
        elif min(record["ts"] for record in intents) > entry.ts:
            yield Finding("late-intent", entry.id)
        if any(record.get("mcpgov.status") == "not-sent" for record in records):
            yield Finding("sent-all-the-same", entry.id)
        if any(record["event"] == "denied" for record in records):
            yield Finding("denied-and-executed", entry.id)
        yield from (Finding(kind, entry.id) for kind in foreign(entry, intents))


def foreign(entry: UpstreamEntry, intents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Whether what the upstream saw belongs to another call, or to another connection."""
    if entry.correlation_id and any(record.get("correlation_id") != entry.correlation_id for record in intents):
        yield "foreign-call"
    if entry.connection and any(record.get("mcpgov.connection") != entry.connection for record in intents):
        yield "foreign-connection"
    if entry.connection and entry.credential != f"key-of-{entry.connection}":
        yield "foreign-credential"


def answers(entry: ClientEntry, executed: set[str], records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the client was told is what the ledger says."""
    if entry.correlation_id and any(record.get("correlation_id") != entry.correlation_id for record in records):
        yield "foreign-answer"
    if entry.got == "result":
        yield from answered(records, made=entry.id in executed)
    if entry.got == "refused":
        yield from refused(entry.reason, records, made=entry.id in executed)


def answered(records: Sequence[Mapping[str, Any]], *, made: bool) -> Iterator[str]:
    """A result belongs to a call that was written down, was made, and ended well as far as anybody knows."""
    if not any(record["event"] == "intent" for record in records):
        yield "unaudited-answer"
    if not made:
        yield "invented-answer"
    ends = [record["mcpgov.status"] for record in records if record["event"] == "outcome"]
    if not {"ok", "unknown", "client-gone", "cancelled"}.issuperset(ends):
        yield "wrong-outcome"


def ended_unknown(records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the next start ended the call."""
    return any(record["event"] == "outcome" and record.get("mcpgov.status") == "unknown" for record in records)


def refused(reason: str, records: Sequence[Mapping[str, Any]], *, made: bool) -> Iterator[str]:
    """A refusal was written down with its reason; for want of a ledger, there was no call.

    A call whose outcome the store would not take before the end was ended as `unknown` by the next start, which
    knows no reason.
    """
    if reason == "audit-unavailable":
        yield from ["refused-and-executed"] if made else []
    elif not records:
        yield "unrecorded-refusal"
    elif reason not in {record.get(name) for record in records for name in WHY} and not ended_unknown(records):
        yield "wrong-reason"
