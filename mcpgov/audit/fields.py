"""What a record says of a caller, a request, an upstream, a credential and a decision, by the names of docs/audit.md.

Pure. No value of a credential is among it, nor an argument. Text that somebody else chose is cut to a bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.audit.redact import clip, origin, without_query
from mcpgov.models import LocalUpstream

if TYPE_CHECKING:
    from mcpgov.audit.redact import Fingerprint
    from mcpgov.audit.tool_sets import ToolSet
    from mcpgov.audit.values import Redacted
    from mcpgov.decision import Decision, Reason
    from mcpgov.models import Connection, Credential, MCPRequest, Principal

MOST = 64  # of the items of a list that is written down
Fields = dict[str, str | int | bool | list[int] | list[str] | None]
# What a record of level `none` goes without: text that the caller or the server chose, and what values were digested.
WITHHELD = frozenset(
    {
        *("user_agent.original", "mcpgov.correlation_id.claimed", "mcpgov.agent.claimed", "mcpgov.traceparent"),
        *("mcp.resource.uri", "jsonrpc.request.id", "mcpgov.session.digest", "mcpgov.request.size"),
        *("mcpgov.arguments.digest", "mcpgov.arguments.size", "mcpgov.answer.size", "mcpgov.detail"),
    }
)


def skeleton(fields: Fields) -> Fields:
    """Who, what, what was decided and how it ended; nothing that is withheld."""
    return {name: value for name, value in fields.items() if name not in WITHHELD}


def of_arguments(digested: Fingerprint | None, value: Redacted | None) -> Fields:
    """The digest of the arguments, and the arguments themselves where a rule wants them."""
    found: Fields = {}
    if digested is not None:
        found = {"mcpgov.arguments.digest": digested.digest, "mcpgov.arguments.size": digested.size}
    return found | of_value("arguments", value)


def of_value(name: str, value: Redacted | None) -> Fields:
    """A value as JSON in one text, and how much of it is not there."""
    if value is None:
        return {}
    return {
        f"mcpgov.{name}.value": value.text,
        f"mcpgov.{name}.dropped": value.dropped or None,
        f"mcpgov.{name}.left_out": value.left_out or None,
    }


def of_tools(tools: ToolSet | None) -> Fields:
    """What tools the server listed."""
    if tools is None:
        return {}
    return {
        "mcpgov.tools.digest": tools.digest,
        "mcpgov.tools.count": tools.count,
        "mcpgov.tools.page": tools.page or None,
    }


def of_credential(credential: Credential) -> Fields:
    """With whose credential: the connection's own, apart from what its policies got."""
    return {
        "mcpgov.credential.kind": credential.kind,
        "mcpgov.credential.reference": credential.reference,
        "mcpgov.credential.identity": clip(credential.identity),
        "mcpgov.credential.audience": clip(credential.audience),
    }


def of_principal(principal: Principal) -> Fields:
    """Who calls."""
    scope = principal.scope
    return {
        "mcpgov.principal.id": clip(principal.id),
        "mcpgov.principal.kind": principal.kind,
        "mcpgov.principal.name": clip(principal.name),
        "mcpgov.principal.project": clip(principal.project),
        "mcpgov.principal.credential": clip(principal.credential),
        "mcpgov.principal.agent_id": clip(principal.agent_id),
        "mcpgov.principal.blueprint_id": clip(principal.blueprint_id),
        "mcpgov.principal.object_id": clip(principal.object_id),
        "mcpgov.principal.tenant_id": clip(principal.tenant_id),
        "mcpgov.principal.app_id": clip(principal.app_id),
        "mcpgov.principal.token_id": clip(principal.token_id),
        "mcpgov.principal.issuer": clip(principal.issuer),
        "mcpgov.principal.user_context": principal.kind.is_user or None,
        "mcpgov.principal.shared": principal.shared or None,
        "mcpgov.principal.roles": _listed(principal.roles),
        "mcpgov.principal.scopes": _listed(principal.scopes),
        "mcpgov.principal.scope.connections": _listed(scope.connections or ()),
        "mcpgov.principal.scope.tools": _listed(scope.tools or ()),
    }


def _listed(texts: tuple[str, ...]) -> list[str] | None:
    return [clip(text) for text in texts[:MOST]] or None


def of_request(request: MCPRequest) -> Fields:
    """What is asked for."""
    return {
        "mcp.protocol.version": clip(request.protocol_version),
        "mcp.method.name": clip(request.method),
        "gen_ai.tool.name": clip(request.tool),
        "gen_ai.prompt.name": clip(request.name) if request.method == "prompts/get" else None,
        "mcp.resource.uri": without_query(request.name) if request.method.startswith("resources/") else None,
        "jsonrpc.request.id": None if request.id is None else clip(str(request.id)),
        "mcpgov.era": request.era.value,
        "mcpgov.kind": request.kind,
        "mcpgov.traceparent": clip(request.traceparent),
        "mcpgov.traceparent.ignored": _listed(request.traces_ignored),
        "mcpgov.request.size": len(request.body),
    }


def of_upstream(connection: Connection, backend: str | None) -> Fields:
    """Where it goes."""
    upstream = connection.upstream
    # The rest of a command line may carry a token; its first word names the program.
    place = (
        f"stdio:{clip(upstream.command[0])}" if isinstance(upstream, LocalUpstream) else origin(backend or upstream.url)
    )
    return {"mcpgov.upstream.server": clip(connection.server), "mcpgov.upstream.origin": place}


def of_decision(decision: Decision | None, effect: str, reason: Reason | None) -> Fields:
    """What was decided, and what policies got on the way."""
    fields: Fields = {"mcpgov.decision.effect": effect, "mcpgov.decision.reason": reason}
    if decision is not None:
        fields |= {"mcpgov.decision.rule": clip(decision.rule), "mcpgov.decision.policy_hash": decision.policy_hash}
        fields["mcpgov.decision.answers"] = decision.answers
        if decision.reported:
            fields["mcpgov.decision.reported"] = [clip(f"{one.reason} {one.rule}") for one in decision.reported]
        fields["mcpgov.credential.policy"] = _listed(tuple(map(str, decision.granted)))
        if decision.limits:
            fields["mcpgov.decision.limits"] = [spent.limit for spent in decision.limits]
            fields["mcpgov.decision.remaining"] = [spent.remaining for spent in decision.limits]
    return fields
