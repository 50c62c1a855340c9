"""Joins what the client saw, what the upstream did and what the ledger says, and names every call that does not add up.

The three are told apart by the JSON-RPC id, which is unique here and passes unchanged. It is meant to be run when no
call is under way: after a restart, or after the end.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SETTLED = {"ok", "tool-error", "rpc-error", "failed", "cancelled", "client-gone", "not-sent", "unknown"}


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


@dataclass(frozen=True)
class UpstreamEntry:
    """One execution in the upstream's own ledger. `ts` is RFC 3339 in UTC with microseconds."""

    id: str
    ts: str


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
    found += executions(upstream, calls, by_id)
    executed = {entry.id for entry in upstream}
    for entry in client:
        found += (Finding(kind, entry.id) for kind in answers(entry, executed, calls, by_id))
    return found


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


def executions(
    upstream: Sequence[UpstreamEntry], calls: Records, by_id: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    """Every execution has an intent from before it, happened once, and was not called something else."""
    for call, times in Counter(entry.id for entry in upstream).items():
        if times > 1:
            yield Finding("executed-twice", call)
    for entry in upstream:
        records = [record for call_id in by_id.get(entry.id, ()) for record in calls[call_id]]
        intents = [record for record in records if record["event"] == "intent"]
        if not intents:
            yield Finding("lost-intent", entry.id)
        elif min(record["ts"] for record in intents) > entry.ts:
            yield Finding("late-intent", entry.id)
        if any(record.get("mcpgov.status") == "not-sent" for record in records):
            yield Finding("sent-all-the-same", entry.id)
        if any(record["event"] == "denied" for record in records):
            yield Finding("denied-and-executed", entry.id)


def answers(
    entry: ClientEntry, executed: set[str], calls: Records, by_id: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """What the client was told is what the ledger says."""
    records = [record for call_id in by_id.get(entry.id, ()) for record in calls[call_id]]
    if entry.got == "result" and not any(record["event"] == "intent" for record in records):
        yield "unaudited-answer"
    if entry.got == "result" and any(
        record["event"] == "outcome" and record["mcpgov.status"] not in {"ok", "unknown", "client-gone", "cancelled"}
        for record in records
    ):
        yield "wrong-outcome"
    if entry.got == "refused" and entry.reason == "audit-unavailable" and entry.id in executed:
        yield "refused-and-executed"
    if entry.got == "refused" and entry.reason != "audit-unavailable" and not records:
        yield "unrecorded-refusal"
