"""Records as rows of a table in a Log Analytics workspace: the JSON array that the Logs Ingestion API takes.

Pure. COLUMNS is the one list of columns: the table and the rule in deploy/azure/monitor, the table in docs and the
queries are compared with it. The first ones have the names that API Management's own ApiManagementGatewayMCPLog has, so
that a query written for that runs here; those that nothing is known of stay empty. The last one is the whole record.

Azure cuts a value at 64 KB and says nothing: what is longer is cut here, with a marker. The ledger has it whole.
Sources: Logs Ingestion API 2023-01-01; Azure Monitor service limits; tables reference, ApiManagementGatewayMCPLog.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from mcpgov.audit.exported import Payload
from mcpgov.audit.formats.batches import LIMIT, divided, encoded, is_trouble, name_of, text_of
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mcpgov.audit.exported import Exported
    from mcpgov.models import Json

MEDIA_TYPE: Final = "application/json"
FIELD: Final = 64_000  # bytes of one value; the limit is 64 KB, of which the marker needs some
TABLE: Final = "McpGov_CL"
STREAM: Final = f"Custom-{TABLE}"
_PRODUCT: Final = re.compile(r"([^\s/()]+)(?:/([^\s/()]+))?")  # RFC 9110, 10.1.5: product, and its version
# Kinds of principal that showed a key, a certificate's holder, or nothing; every other one showed a token.
_SHOWN: Final = {"key": "api_key", "anonymous": "none", "probe": "none", "": ""}


@frozen
class Column:
    """A column: its name, its type there, and where its value is from: the first of `fields` that a record has, or what
    `made` makes of it. `about` is for people.
    """

    name: str
    type: Literal["datetime", "string", "int", "long", "boolean", "dynamic"]
    fields: tuple[str, ...] = ()
    about: str = ""
    made: Callable[[Exported], Json] | None = None

    def value(self, one: Exported) -> Json:
        """The value; None where there is none."""
        if self.made is not None:
            return self.made(one)
        found = next((value for field in self.fields if (value := one.fields.get(field)) is not None), None)
        if self.type == "string":
            return found if isinstance(found, str | None) else encoded(found).decode()
        return found


def authentication(one: Exported) -> Json:
    """What the caller showed, in the words of the platform."""
    if text_of(one.record, "mcpgov.principal.credential").startswith("certificate:"):
        return "cert"
    return _SHOWN.get(text_of(one.record, "mcpgov.principal.kind"), "oauth2") or None


def client(one: Exported) -> tuple[str, str]:
    """Name and version of the program that called, as it says itself."""
    found = _PRODUCT.match(text_of(one.record, "user_agent.original"))
    return (found[1], found[2] or "") if found else ("", "")


def operation(one: Exported) -> Json:
    """The tool, prompt or resource that was asked for, else the method; of the gateway itself, what happened."""
    record = one.record
    names = ("gen_ai.tool.name", "gen_ai.prompt.name", "mcp.resource.uri", "mcp.method.name", "mcpgov.control.event")
    return next((text for name in names if (text := text_of(record, name))), None)


def error_type(one: Exported) -> Json:
    """The reason of a call that was refused or went wrong; the status where there is no reason."""
    record = one.record
    if not is_trouble(record):
        return None
    names = ("mcpgov.reason", "mcpgov.decision.reason", "mcpgov.status")
    return next((text for name in names if (text := text_of(record, name))), None)


def endpoint(one: Exported) -> Json:
    """The path that was called."""
    connection = text_of(one.record, "mcpgov.connection")
    return f"/mcp/{connection}" if connection else None


def transport(one: Exported) -> Json:
    """How the upstream is reached."""
    place = text_of(one.record, "mcpgov.upstream.origin")
    return None if not place else "stdio" if place.startswith("stdio:") else "streamable-http"


def whole(one: Exported) -> Json:
    """The record, or where that is too long for one value, how long it is."""
    size = len(encoded(dict(one.record)))
    return dict(one.record) if size <= FIELD else {"mcpgov.cut": size}


PLATFORM: Final = (
    Column("TimeGenerated", "datetime", ("ts",), "when the record was made"),
    Column("ApiType", "string", about="always `Mcp`", made=lambda _: "Mcp"),
    Column("AuthenticationMethod", "string", about="`oauth2`, `api_key`, `cert` or `none`", made=authentication),
    Column("ClientName", "string", about="the program, from its User-Agent", made=lambda one: client(one)[0] or None),
    Column("ClientVersion", "string", about="its version, likewise", made=lambda one: client(one)[1] or None),
    Column("CorrelationId", "string", ("correlation_id", "mcpgov.control.correlation_id")),
    Column("Error", "string", ("mcpgov.detail", "mcpgov.control.error"), "what went wrong, in words"),
    Column("ErrorType", "string", about="the reason, of what was refused or went wrong", made=error_type),
    Column("McpServerEndpoint", "string", about="`/mcp/` and the connection", made=endpoint),
    Column("Method", "string", ("mcp.method.name",)),
    Column("OperationName", "string", about="tool, prompt or resource; else the method or event", made=operation),
    Column("ProtocolVersion", "string", ("mcp.protocol.version",)),
    Column("Region", "string", about="empty: a gateway does not know", made=lambda _: None),
    Column("ServerName", "string", ("mcpgov.upstream.server",)),
    Column("ServerVersion", "string", about="empty: not recorded", made=lambda _: None),
    Column("SessionId", "string", ("mcpgov.session.digest",), "a digest, never the id"),
    Column("ToolCount", "int", ("mcpgov.tools.count",), "how many tools the server listed"),
    Column("ToolName", "string", ("gen_ai.tool.name",)),
    Column("TransportType", "string", about="`streamable-http` or `stdio`, to the upstream", made=transport),
)
OWN: Final = (
    Column("LogId", "string", ("mcpgov.log_id",), "with the next two, the record's name everywhere"),
    Column("Writer", "string", ("mcpgov.writer",)),
    Column("Seq", "long", ("mcpgov.seq",)),
    Column("Event", "string", ("event",), "`intent`, `outcome`, `denied` or `control`"),
    Column("CallId", "string", ("call_id",), "joins an intent and its outcome"),
    Column("TraceId", "string", ("trace_id",)),
    Column("ControlEvent", "string", ("mcpgov.control.event",)),
    Column("Connection", "string", ("mcpgov.connection", "mcpgov.control.connection")),
    Column("PrincipalId", "string", ("mcpgov.principal.id", "mcpgov.control.principal")),
    Column("PrincipalKind", "string", ("mcpgov.principal.kind",)),
    Column("PrincipalName", "string", ("mcpgov.principal.name",)),
    Column("Project", "string", ("mcpgov.principal.project",)),
    Column("AgentId", "string", ("mcpgov.principal.agent_id",)),
    Column("BlueprintId", "string", ("mcpgov.principal.blueprint_id",)),
    Column("ObjectId", "string", ("mcpgov.principal.object_id",)),
    Column("CallerTenantId", "string", ("mcpgov.principal.tenant_id",), "`TenantId` is Azure's own"),
    Column("AppId", "string", ("mcpgov.principal.app_id",)),
    Column("ClientAddress", "string", ("client.address", "mcpgov.control.source")),
    Column("Effect", "string", ("mcpgov.decision.effect",), "`allow` or `deny`"),
    Column("DecisionReason", "string", ("mcpgov.decision.reason",)),
    Column("Rule", "string", ("mcpgov.decision.rule",)),
    Column("PolicyHash", "string", ("mcpgov.decision.policy_hash",)),
    Column("Snapshot", "string", ("mcpgov.snapshot",), "the files in force"),
    Column("Status", "string", ("mcpgov.status",), "how the call ended"),
    Column("Reason", "string", ("mcpgov.reason",)),
    Column("HttpStatus", "int", ("http.response.status_code",)),
    Column("RpcCode", "string", ("rpc.response.status_code",)),
    Column("ArgumentsDigest", "string", ("mcpgov.arguments.digest",)),
    Column("ArgumentsSize", "long", ("mcpgov.arguments.size",), "bytes"),
    Column("AnswerSize", "long", ("mcpgov.answer.size",), "bytes"),
    Column("ToolsDigest", "string", ("mcpgov.tools.digest",), "which tools the server listed"),
    Column("UpstreamOrigin", "string", ("mcpgov.upstream.origin",)),
    Column("CredentialKind", "string", ("mcpgov.credential.kind",)),
    Column("CredentialReference", "string", ("mcpgov.credential.reference",)),
    Column("DecisionUs", "long", ("mcpgov.latency.decision_us",), "microseconds"),
    Column("AuditUs", "long", ("mcpgov.latency.audit_us",), "microseconds"),
    Column("UpstreamUs", "long", ("mcpgov.latency.upstream_us",), "microseconds"),
    Column("TotalUs", "long", ("mcpgov.latency.total_us",), "microseconds"),
    Column("Record", "dynamic", about="the whole record, as the ledger has it", made=whole),
)
COLUMNS: Final = (*PLATFORM, *OWN)


@frozen
class AzureMonitor:
    """The Format `azure-monitor`. `limit` is in bytes, before they are compressed."""

    limit: int = LIMIT

    def payloads(self, records: Sequence[Exported]) -> Iterator[Payload]:
        """One row a record."""
        for part, rows in divided(records, lambda one: encoded(dict(row(one))), self.limit):
            yield Payload(b"[" + b",".join(rows) + b"]", len(part), MEDIA_TYPE, name_of(part, ".json"))


def row(one: Exported) -> Mapping[str, Json]:
    """A record as a row: the columns that have a value."""
    return {
        column.name: cut(value) if isinstance(value, str) else value
        for column in COLUMNS
        if (value := column.value(one)) is not None
    }


def cut(text: str) -> str:
    """Text that Azure takes whole: at most FIELD bytes and a marker that says how many are missing."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= FIELD:
        return text
    kept = raw[:FIELD].decode("utf-8", "ignore")
    return f"{kept}…[+{len(raw) - len(kept.encode())} bytes]"
