"""A call's own page: what was asked and by whom, how long each part took, why it was decided so, and its records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from mcpgov.audit.reader import VALUES, Call, readable
from mcpgov.audit.record import RecordEvent
from mcpgov.console.chart import timeline
from mcpgov.console.html import Child, Markup, join, link, tag
from mcpgov.console.layout import CONSOLE
from mcpgov.console.review import asked_at, outcome, text_of
from mcpgov.console.times import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.audit.reader import Record
    from mcpgov.audit.review import Kept

# The fields that a call's page shows in words: the heading, and what stands under it as (word, field, filter).
FACTS: Final = (
    (
        "Caller",
        (
            ("Name", "mcpgov.principal.name", ""),
            ("Id", "mcpgov.principal.id", "principal"),
            ("Kind", "mcpgov.principal.kind", ""),
            ("Project", "mcpgov.principal.project", "project"),
            ("Agent", "mcpgov.principal.agent_id", "agent"),
            ("Blueprint", "mcpgov.principal.blueprint_id", "blueprint"),
            ("User", "mcpgov.principal.object_id", ""),
            ("Shown", "mcpgov.principal.credential", ""),
            ("Address", "client.address", "source"),
            ("Client", "user_agent.original", ""),
        ),
    ),
    (
        "Asked for",
        (
            ("Connection", "mcpgov.connection", "connection"),
            ("Method", "mcp.method.name", "method"),
            ("Tool", "gen_ai.tool.name", "tool"),
            ("Resource", "mcp.resource.uri", ""),
            ("Prompt", "gen_ai.prompt.name", ""),
            ("Arguments", "mcpgov.arguments.digest", ""),
            ("Size", "mcpgov.request.size", ""),
            ("Version", "mcp.protocol.version", ""),
        ),
    ),
    (
        "Decided",
        (
            ("Decision", "mcpgov.decision.effect", "decision"),
            ("Reason", "mcpgov.decision.reason", ""),
            ("Rule", "mcpgov.decision.rule", ""),
            ("Reported", "mcpgov.decision.reported", ""),
            ("Policies", "mcpgov.decision.policy_hash", ""),
            ("Files", "mcpgov.snapshot", ""),
        ),
    ),
    (
        "Sent and answered",
        (
            ("Server", "mcpgov.upstream.server", ""),
            ("At", "mcpgov.upstream.origin", ""),
            ("Credential", "mcpgov.credential.reference", ""),
            ("Identity", "mcpgov.credential.identity", ""),
            ("HTTP status", "http.response.status_code", ""),
            ("Answer", "mcpgov.answer.size", ""),
            ("Attempts", "mcpgov.upstream.attempts", ""),
            ("Outcome reason", "mcpgov.reason", "reason"),
            ("Detail", "mcpgov.detail", ""),
        ),
    ),
    (
        "Found by",
        (
            ("Call", "call_id", ""),
            ("Correlation", "correlation_id", "correlation"),
            ("Claimed", "mcpgov.correlation_id.claimed", ""),
            ("Trace", "trace_id", ""),
            ("Session", "mcpgov.session.digest", ""),
        ),
    ),
)
LONG: Final = frozenset({"mcpgov.decision.policy_hash", "mcpgov.snapshot", "mcpgov.arguments.digest"})
SPELLED: Final = frozenset({"call_id", "correlation_id", "trace_id", "mcpgov.principal.id", "mcpgov.decision.rule"})
SHORT: Final = 16  # characters of a digest; the record below has all of it
BYTES: Final = frozenset({"mcpgov.request.size", "mcpgov.answer.size"})


def calls_of(kept: Sequence[Kept]) -> list[tuple[Call, list[Kept]]]:
    """The calls that records make up, each with its records, in the order in which they began."""
    grouped: dict[object, list[Kept]] = {}
    for one in kept:
        grouped.setdefault(one.record.get("call_id"), []).append(one)
    made: list[tuple[Call, list[Kept]]] = []
    for records in grouped.values():
        begun = next((one for one in records if one.record.get("event") != RecordEvent.OUTCOME), records[0])
        ended = next((one for one in records if one is not begun), None)
        made.append((Call(begun.id, begun.record, ended.record if ended else None), records))
    return made


def call_page(call: Call, kept: Sequence[Kept], explained: Sequence[str]) -> Markup:
    """The page of one call."""
    what = text_of(call, "gen_ai.tool.name") or text_of(call, "mcp.method.name") or "A request"
    on = text_of(call, "mcpgov.connection")
    who = text_of(call, "mcpgov.principal.name") or text_of(call, "mcpgov.principal.id") or "somebody unknown"
    ts = asked_at(call)
    return join(
        tag("p", tag("a", "Review", href=CONSOLE), " / a call", class_="crumbs"),
        tag("h1", tag("code", what), f" on {on}" if on else None, " ", outcome(call)),
        tag(
            "p",
            f"Asked for by {who} on ",
            tag("time", f"{ts[:10]} at {ts[11:23]} UTC", datetime=ts),
            f". {call.reason or ''}",
            class_="lead",
        ),
        took(call),
        tag("div", [facts(title, names, call) for title, names in FACTS], class_="facts"),
        [values(title, name, call) for name, title in VALUES.items()],
        explanation(explained),
        records_of(kept),
    )


def trace_page(identifier: str, calls: Sequence[Call]) -> Markup:
    """Several calls that one id leads to."""
    rows = [
        tag(
            "li",
            tag("a", asked_at(call), href=f"{CONSOLE}/calls/{text_of(call, 'call_id')}"),
            " ",
            tag("code", text_of(call, "gen_ai.tool.name") or text_of(call, "mcp.method.name")),
            " ",
            outcome(call),
        )
        for call in calls
    ]
    return join(
        tag("p", tag("a", "Review", href=CONSOLE), " / a trace", class_="crumbs"),
        tag("h1", f"{len(calls)} calls of one trace"),
        tag("p", tag("code", identifier), class_="lead"),
        tag("section", tag("ol", rows, class_="plainlist"), class_="card"),
    )


def took(call: Call) -> Markup | None:
    """How long each part took, as a line and as a list."""
    total = call.get("mcpgov.latency.total_us")
    if not isinstance(total, int):
        return None
    parts = list(parts_of(call, total))
    items = [
        tag("div", tag("dt", tag("i", class_=f"swatch t-{kind}"), name), tag("dd", milliseconds(length / 1000)))
        for kind, name, length in parts
    ]
    whole = tag("div", tag("dt", "In all"), tag("dd", milliseconds(total / 1000)))
    line = join(timeline(parts, total), tag("dl", items, whole, class_="figures"))
    if len(parts) == 1:
        line = tag("p", f"{parts[0][1]}: {milliseconds(total / 1000)}.")
    return tag("section", tag("h2", "Timeline"), line, class_="card took")


def parts_of(call: Call, total: int) -> Iterator[tuple[str, str, float]]:
    """The parts of a call's time: to the decision, until the intent was durable, until the answer's head, the rest."""
    rest = total
    for kind, name in (("decision", "Decided"), ("audit", "Written down"), ("upstream", "Upstream, to the head")):
        length = call.get(f"mcpgov.latency.{kind}_us")
        if isinstance(length, int):
            rest -= length
            yield kind, name, length
    if rest > 0:
        yield "answer", "Answer" if rest < total else "Until it was refused", rest


def facts(title: str, names: Sequence[tuple[str, str, str]], call: Call) -> Markup | None:
    """What is known under one heading."""
    rows = [
        tag("div", tag("dt", word), tag("dd", fact(call, name, by)))
        for word, name, by in names
        if call.get(name) is not None
    ]
    return tag("section", tag("h2", title), tag("dl", rows), class_="card") if rows else None


def fact(call: Call, name: str, by: str) -> Child:
    """A field's value; one that calls are found by leads to the others that have it."""
    value = call.get(name)
    if name in BYTES and isinstance(value, int):
        return f"{value:,} bytes"
    if isinstance(value, list):
        return [tag("code", str(item)) for item in value]
    shown = value if isinstance(value, str) else json.dumps(value)
    if name in LONG and len(shown) > SHORT:
        return tag("code", f"{shown[:SHORT]}\N{HORIZONTAL ELLIPSIS}", title=shown)
    inner = tag("code", shown) if name in SPELLED else shown
    if name == "trace_id":
        return tag("a", inner, href=f"{CONSOLE}/calls/{shown}")
    href = link(CONSOLE, since="30d", **{by: shown}) if by else None
    return tag("a", inner, href=href, title="Other calls with this") if href else inner


def values(title: str, name: str, call: Call) -> Markup | None:
    """Arguments or an answer, where a rule has them written down: as they stand in the record, not as they were."""
    said = readable(name, call.get(name))
    if not said:
        return None
    counts = (
        ("dropped", "{} values dropped by a rule"),
        ("left_out", "{} values left out for want of room"),
    )
    missing = [text.format(count) for part, text in counts if (count := call.get(name.replace("value", part)))]
    return tag(
        "section",
        tag("h2", title),
        tag("p", "; ".join(["As they were written down", *missing]), ".", class_="quiet"),
        tag("pre", said, tabindex="0", role="region", aria_label=f"{title}, as written down"),
        class_="card",
    )


def explanation(lines: Sequence[str]) -> Markup | None:
    """How the decision came about, element by element."""
    if not lines:
        return None
    said = tag("pre", "\n".join(lines), tabindex="0", role="region", aria_label="The decision, element by element")
    quiet = tag(
        "p",
        "How the policies in force come to it. The last lines say whether this is what was recorded.",
        class_="quiet",
    )
    return tag("section", tag("h2", "Decision, explained"), quiet, said, class_="card")


def records_of(kept: Sequence[Kept]) -> Markup:
    """The records as they stand in the ledger."""
    return tag("section", tag("h2", "Records"), [record(one) for one in kept], class_="card records")


def record(one: Kept) -> Markup:
    """One record: where it stands, and all of it."""
    event = one.record.get("event")
    hashed = tag("code", one.hash, class_="hash") if one.hash else "none: it is from before records were chained"
    place = tag(
        "dl",
        tag("div", tag("dt", "Writer"), tag("dd", tag("code", one.writer))),
        tag("div", tag("dt", "Number"), tag("dd", f"{one.seq:,}")),
        tag("div", tag("dt", "Leaf hash"), tag("dd", hashed)),
        class_="place",
    )
    whole = tag("pre", pretty(one.record), tabindex="0", role="region", aria_label=f"The {event} record")
    return tag("details", tag("summary", tag("b", str(event)), f" {one.record.get('ts')}"), place, whole, open=True)


def pretty(fields: Record) -> str:
    """A record as JSON that can be read."""
    return json.dumps(fields, indent=2, ensure_ascii=False)
