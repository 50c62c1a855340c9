"""`audit show ID --explain`: a recorded decision made again, element by element.

The record holds what its policies were told when they asked about the request, one letter for each question. Where the
policies of today are those of the call, they are given these answers, and the same decision must come of it. Others ask
other questions: they are shown what the record holds of the request itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import typer

from mcpgov.cli.explained import Explained, left_out, lines_of
from mcpgov.cli.hiding import Hiding
from mcpgov.cli.printable import printable
from mcpgov.decision import Reason
from mcpgov.models import CallerScope, Era, Headers, Kind, MCPRequest, Principal, PrincipalKind, RequestHead
from mcpgov.policy.context import Context
from mcpgov.policy.explain import Explanation
from mcpgov.policy.replay import Recorded, decide_today, replay

if TYPE_CHECKING:
    from collections.abc import Generator

    from mcpgov.audit.reader import Record
    from mcpgov.models import Json
    from mcpgov.snapshot import Snapshot


# What no policy decides, and no answer tells: something that the decision needed was not there.
_BROKEN_OFF: Final = frozenset({
    *(Reason.COUNTERS_UNAVAILABLE, Reason.INTERNAL_ERROR, Reason.SIGN_IN_UNAVAILABLE),
    *(Reason.CREDENTIAL_UNAVAILABLE, Reason.CONSENT_REQUIRED, Reason.USER_REQUIRED),
})  # fmt: skip


def show_replayed(record: Record, snapshot: Snapshot) -> None:
    """Print how the decision of a record comes about."""
    for line in replayed(record, snapshot):
        typer.echo(printable(line))


def replayed(record: Record, snapshot: Snapshot) -> Generator[str]:
    """The explanation of a recorded decision, as text."""
    recorded = recorded_of(record)
    if recorded is None:
        yield "No policy decided this call: it was refused before one was asked."
        return
    if record.get("mcpgov.aggregate") and not record.get("mcpgov.connection"):
        yield "No policy decided this request at /mcp: those of the members that it asked did, each for itself."
        return
    context = context_of(record, snapshot)
    if context is None:
        yield "This decision cannot be made again: its connection is not in the catalog any more."
        return
    policy = snapshot.policy(context.connection.name)
    explanation, is_same = Explanation(), policy.digest == recorded.policy_hash
    decision = replay(policy, context, recorded, explanation) if is_same else decide_today(policy, context, explanation)
    gone = tuple(left_out(policy, context, snapshot.documents))
    yield from lines_of(Explained(context, decision, explanation, left_out=gone), Hiding.of(snapshot.secrets))
    yield ""
    if not is_same:
        yield "The policies have changed since: this is what those of today make of what the record holds of the call."
        yield "It holds no headers, no arguments and no annotations: conditions on them count as missing."
        yield f"Recorded was: {recorded.reason}{_by(recorded)}"
    elif recorded.answers == "-":
        yield "The policies asked more of this call than a record keeps: this decision cannot be made again."
    elif recorded.reason in _BROKEN_OFF:
        yield f"Then it was broken off: {recorded.reason}{_by(recorded)}. This is what would have come of it."
    elif recorded.same_as(decision):
        yield "This is the recorded decision, by the same policies."
    else:
        yield f"This is NOT the recorded decision, which was {recorded.reason}{_by(recorded)}."


def _by(recorded: Recorded) -> str:
    return f", by {recorded.rule}" if recorded.rule else ""


def recorded_of(record: Record) -> Recorded | None:
    """What a record says of a decision; None where no policy was asked.

    A call that the policies let through has no rule, also where it was refused further on, for another reason.
    """
    if not record.get("mcpgov.decision.policy_hash"):
        return None
    reason, rule, digest, answers = (
        text(record.get(f"mcpgov.decision.{name}")) for name in ("reason", "rule", "policy_hash", "answers")
    )
    limits, left = (numbers(record.get(f"mcpgov.decision.{name}")) for name in ("limits", "remaining"))
    return Recorded(reason if rule else Reason.ALLOWED, rule, digest, answers, tuple(zip(limits, left, strict=False)))


def context_of(record: Record, snapshot: Snapshot) -> Context | None:
    """The request as far as a record of a decision holds it: no arguments, and no header but the user agent."""
    name = text(record.get("mcpgov.connection"))
    if name not in snapshot.connections:
        return None
    agent = text(record.get("user_agent.original"))
    head = RequestHead(
        text(record.get("http.request.method")),
        name,
        Headers((("user-agent", agent),) if agent else ()),
        text(record.get("network.peer.address")),
        text(record.get("client.address")),
        datetime.fromisoformat(text(record.get("ts"))),
        text(record.get("correlation_id")),
    )
    method, tool = text(record.get("mcp.method.name")), text(record.get("gen_ai.tool.name"))
    params: dict[str, Json] = {"name": tool, "arguments": {}} if method == "tools/call" else {}
    era, kind = Era(text(record.get("mcpgov.era"))), Kind(text(record.get("mcpgov.kind")))
    version, id_ = text(record.get("mcp.protocol.version")), text(record.get("jsonrpc.request.id"))
    request = MCPRequest(head, era, kind, version, b"", id_ or None, method, tool, params)
    return Context(request, principal_of(record), snapshot.connections[name])  # its scope let it in then


def principal_of(record: Record) -> Principal:
    """The caller of a record."""

    def said(name: str) -> str:
        return text(record.get(f"mcpgov.principal.{name}"))

    def listed(name: str) -> tuple[str, ...]:
        return texts(record.get(f"mcpgov.principal.{name}"))

    return Principal(
        id=said("id"),
        kind=PrincipalKind(said("kind")),
        name=said("name"),
        project=said("project"),
        agent_id=said("agent_id"),
        blueprint_id=said("blueprint_id"),
        object_id=said("object_id"),
        roles=listed("roles"),
        scopes=listed("scopes"),
        tenant_id=said("tenant_id"),
        app_id=said("app_id"),
        scope=CallerScope(listed("scope.connections") or None, listed("scope.tools") or None),
    )


def texts(value: Json) -> tuple[str, ...]:
    """A field of a record that is a list of texts."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def numbers(value: Json) -> tuple[int, ...]:
    """A field of a record that is a list of whole numbers."""
    return tuple(item for item in value if isinstance(item, int)) if isinstance(value, list) else ()


def text(value: Json) -> str:
    """A field of a record that is text; the empty string where it is not there."""
    return value if isinstance(value, str) else ""
