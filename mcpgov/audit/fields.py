"""What a record says of a caller, a request, an upstream, a credential and a decision, by the names of docs/audit.md.

Pure. What is said is text already: members of a canonical JSON object (RFC 8785), and the empty string where there is
nothing to say. Text that somebody else chose is cut to a bound. No value of a credential is among it, nor an argument.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring  # what an encoder that leaves text as it is writes a text with
from typing import TYPE_CHECKING, Final

from mcpgov.audit.redact import TEXT, clip, encodable, origin, without_query
from mcpgov.models import LocalUpstream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mcpgov.audit.redact import Fingerprint
    from mcpgov.audit.tool_sets import ToolSet
    from mcpgov.audit.values import Redacted
    from mcpgov.decision import Decision, Reason
    from mcpgov.models import Connection, Credential, MCPRequest, Principal

MOST = 64  # of the items of a list that is written down
WHOLE: Final = 1 << 62  # the bound of text that is our own
Fields = dict[str, str | int | bool | list[int] | list[str] | None]
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
# What a record of level `none` goes without: text that the caller or the server chose, and what values were digested.
WITHHELD = frozenset(
    {
        *("user_agent.original", "mcpgov.correlation_id.claimed", "mcpgov.agent.claimed", "mcpgov.traceparent"),
        *("mcp.resource.uri", "jsonrpc.request.id", "mcpgov.session.digest", "mcpgov.request.size"),
        *("mcpgov.arguments.digest", "mcpgov.arguments.size", "mcpgov.answer.size", "mcpgov.detail"),
    }
)
_WITHHELD: Final = tuple(f'"{name}":' for name in WITHHELD)


def canonical(fields: Fields) -> str:
    """The canonical JSON of a record's fields; those that hold None or the empty string are left out."""
    text = _ENCODER.encode({name: value for name, value in fields.items() if value is not None and value != ""})
    return encodable(text)


def joined(members: Iterable[str]) -> str:
    """The canonical JSON of members, in whatever order they are: a quote sorts before all that a name goes on with."""
    return f"{{{','.join(sorted(filter(None, members)))}}}"


def skeleton(members: Iterable[str]) -> list[str]:
    """Who, what, what was decided and how it ended; nothing that is withheld."""
    return [member for member in members if not member.startswith(_WITHHELD)]


def member(name: str, text: str, limit: int = TEXT) -> str:
    """A text under its name, cut to so many characters; nothing where it is empty."""
    if not text:
        return ""
    return f'"{name}":{encode_basestring(text if text.isascii() and len(text) <= limit else clip(text, limit))}'


def number(name: str, value: int | None) -> str:
    """A whole number under its name."""
    return "" if value is None else f'"{name}":{value}'


def truth(name: str, *, said: bool | None) -> str:
    """Whether something is so, under its name."""
    return "" if said is None else f'"{name}":{"true" if said else "false"}'


def listed(name: str, texts: Sequence[str]) -> str:
    """The first texts of a list under its name."""
    return f'"{name}":{_ENCODER.encode([clip(text) for text in texts[:MOST]])}' if texts else ""


def of_value(name: str, value: Redacted | None) -> tuple[str, str, str]:
    """How much of a value is not there, dropped or left out, and the value as JSON in one text."""
    if value is None:
        return "", "", ""
    return (
        number(f"mcpgov.{name}.dropped", value.dropped or None),
        number(f"mcpgov.{name}.left_out", value.left_out or None),
        member(f"mcpgov.{name}.value", value.text, WHOLE),
    )


def of_arguments(digested: Fingerprint | None, value: Redacted | None) -> tuple[str, ...]:
    """The digest of the arguments, and the arguments themselves where a rule wants them."""
    if digested is None:
        return of_value("arguments", value)
    dropped, left_out, text = of_value("arguments", value)
    digest, size = member("mcpgov.arguments.digest", digested.digest), number("mcpgov.arguments.size", digested.size)
    return digest, dropped, left_out, size, text


def of_tools(tools: ToolSet | None) -> str:
    """What tools the server listed."""
    if tools is None:
        return ""
    page = ',"mcpgov.tools.page":true' if tools.page else ""
    return f'"mcpgov.tools.count":{tools.count},{member("mcpgov.tools.digest", tools.digest)}{page}'


def of_credential(credential: Credential | None, decision: Decision | None) -> tuple[str, ...]:
    """With whose credential: the connection's own, and apart from it what its policies got."""
    granted = decision.granted if decision else ()
    policy = listed("mcpgov.credential.policy", list(map(str, granted))) if granted else ""
    if credential is None:
        return (policy,)
    return (
        member("mcpgov.credential.audience", credential.audience),
        member("mcpgov.credential.identity", credential.identity),
        member("mcpgov.credential.kind", credential.kind, WHOLE),
        policy,
        member("mcpgov.credential.reference", credential.reference, WHOLE),
    )


def of_principal(principal: Principal) -> str:
    """Who calls."""
    scope = principal.scope
    found = (
        member("mcpgov.principal.agent_id", principal.agent_id),
        member("mcpgov.principal.app_id", principal.app_id),
        member("mcpgov.principal.blueprint_id", principal.blueprint_id),
        member("mcpgov.principal.credential", principal.credential),
        member("mcpgov.principal.id", principal.id),
        member("mcpgov.principal.issuer", principal.issuer),
        member("mcpgov.principal.kind", principal.kind),
        member("mcpgov.principal.name", principal.name),
        member("mcpgov.principal.object_id", principal.object_id),
        member("mcpgov.principal.project", principal.project),
        listed("mcpgov.principal.roles", principal.roles),
        listed("mcpgov.principal.scope.connections", scope.connections or ()),
        listed("mcpgov.principal.scope.tools", scope.tools or ()),
        listed("mcpgov.principal.scopes", principal.scopes),
        truth("mcpgov.principal.shared", said=principal.shared or None),
        member("mcpgov.principal.tenant_id", principal.tenant_id),
        member("mcpgov.principal.token_id", principal.token_id),
        truth("mcpgov.principal.user_context", said=principal.kind.is_user or None),
    )
    return ",".join(filter(None, found))


def of_request(request: MCPRequest) -> tuple[str, ...]:
    """What is asked for."""
    method, name = request.method, request.name
    return (
        member("gen_ai.prompt.name", name) if method == "prompts/get" else "",
        member("gen_ai.tool.name", request.tool),
        "" if request.id is None else member("jsonrpc.request.id", str(request.id)),
        member("mcp.method.name", method),
        member("mcp.protocol.version", request.protocol_version),
        member("mcp.resource.uri", without_query(name), WHOLE) if method.startswith("resources/") else "",
        f'"mcpgov.era":"{request.era.value}"',
        f'"mcpgov.kind":"{request.kind}"',
        f'"mcpgov.request.size":{len(request.body)}',
        member("mcpgov.traceparent", request.traceparent),
        listed("mcpgov.traceparent.ignored", request.traces_ignored),
    )


def of_upstream(connection: Connection, backend: str | None) -> str:
    """Where it goes."""
    upstream = connection.upstream
    # The rest of a command line may carry a token; its first word names the program.
    place = (
        f"stdio:{clip(upstream.command[0])}" if isinstance(upstream, LocalUpstream) else origin(backend or upstream.url)
    )
    found = (
        member("mcpgov.upstream.origin", place, WHOLE),
        member("mcpgov.upstream.server", connection.server),
    )
    return ",".join(filter(None, found))


def of_decision(decision: Decision | None, effect: str, reason: Reason | None) -> tuple[str, ...]:
    """What was decided."""
    said = (member("mcpgov.decision.effect", effect), member("mcpgov.decision.reason", reason or ""))
    if decision is None:
        return said
    limits = decision.limits
    return (
        *said,
        member("mcpgov.decision.answers", decision.answers, WHOLE),
        f'"mcpgov.decision.limits":[{",".join([str(one.limit) for one in limits])}]' if limits else "",
        member("mcpgov.decision.policy_hash", decision.policy_hash, WHOLE),
        f'"mcpgov.decision.remaining":[{",".join([str(one.remaining) for one in limits])}]' if limits else "",
        listed("mcpgov.decision.reported", [f"{one.reason} {one.rule}" for one in decision.reported]),
        member("mcpgov.decision.rule", decision.rule),
    )
