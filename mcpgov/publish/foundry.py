"""What Microsoft Foundry is told of a connection: its own connection, the tool of an agent, agent.yaml, Bicep. Pure.

Rules: the target is the gateway and never the upstream; the platform signs in by `clientAuthType` and `clientAudience`
and nothing of how mcpgov signs in upstream is known here; a secret is a placeholder, or a parameter that is marked as
one, because whoever may read a project may read its connections.
Sources: the REST body of a project connection, 2025-04-01-preview, category RemoteTool; the MCP tool of an agent
(server_label, server_url, allowed_tools, require_approval); the manifest of an agent (`resources`); Bicep.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, cast

import yaml

from mcpgov.frozen import frozen
from mcpgov.models import AuthType
from mcpgov.publish.arm import Call, resource_path
from mcpgov.publish.offer import WITH_AUDIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mcpgov.models import Json
    from mcpgov.publish.offer import Offer

API_VERSION: Final = "2025-04-01-preview"
COGNITIVE: Final = "Microsoft.CognitiveServices"
ACCOUNTS: Final = f"{COGNITIVE}/accounts"
KEY: Final = "<gateway key: mcpgov keys create NAME>"
CLIENT: Final[Mapping[str, str]] = {
    "ClientId": "<client id of the agents' app registration>",
    "ClientSecret": "<its client secret>",
}
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Approval = Literal["always", "never"]


@frozen
class Project:
    """A project of Foundry, by the names that ARM has for it; what is not known stands in braces."""

    subscription: str = "{subscription}"
    group: str = "{resource-group}"
    account: str = "{account}"
    project: str = "{project}"

    def connection_id(self, name: str) -> str:
        """The resource id of a connection. Raises NotOffered where a part could change the path."""
        names = ("accounts", self.account, "projects", self.project, "connections", name)
        return resource_path(self.subscription, self.group, COGNITIVE, *names)


@frozen
class Tool:
    """A tool of the server, and what the server says of it. None is what it did not say."""

    name: str
    read_only: bool | None = None
    destructive: bool | None = None

    @property
    def harmless(self) -> bool:
        """Whether the server says that it only reads."""
        return self.read_only is True


def connection_body(offer: Offer) -> dict[str, Json]:
    """The body of a project connection."""
    properties: dict[str, Json] = {
        "authType": offer.auth.value,
        "group": "ServicesAndApps",
        "category": "RemoteTool",
        "target": offer.url,
        "isSharedToAll": True,
        "sharedUserList": [],
        **_signing_in(offer),
        "metadata": {"ApiType": "Azure"},
    }
    return {"properties": properties}


def connection_call(offer: Offer, project: Project) -> Call:
    """The call that makes the connection, or changes it. Raises NotOffered."""
    return Call("PUT", project.connection_id(offer.name), API_VERSION, connection_body(offer))


def _signing_in(offer: Offer) -> dict[str, Json]:
    """How the platform signs in to the gateway."""
    if offer.auth is AuthType.CUSTOM_KEYS:
        return {"credentials": {"keys": {offer.key_header.name: offer.key_header.value(KEY)}}}
    if offer.auth in WITH_AUDIENCE:
        return {"audience": offer.audience, "credentials": {}}
    if offer.auth is AuthType.OAUTH2:
        issuer = offer.issuer
        where = f"of {issuer.issuer}" if issuer else "of the issuer"
        token = (issuer and issuer.token_url) or f"<token endpoint {where}>"
        return {
            "TokenUrl": token,
            "AuthorizationUrl": (issuer and issuer.authorization_url) or f"<authorization endpoint {where}>",
            "RefreshUrl": token,
            "Scopes": list(issuer.scopes) if issuer else [],
            "Credentials": dict(CLIENT),
        }
    return {}


def tool_definition(
    offer: Offer, connection: str, tools: Sequence[Tool] | None, approval: Approval | None = None
) -> dict[str, Json]:
    """The MCP tool of an agent. `connection` is the name or the resource id of the project connection.

    Without `tools` the agent sees whatever the gateway shows it. `approval` is for all of them, whatever they are.
    """
    made: dict[str, Json] = {
        "type": "mcp",
        "server_label": label_of(offer.name),
        "server_url": offer.url,
        "project_connection_id": connection,
    }
    if tools is not None:
        made["allowed_tools"] = [tool.name for tool in tools]
    made["require_approval"] = approval or require_approval(tools or ())
    return made


def label_of(name: str) -> str:
    """A server_label, which has no dashes: ^[a-zA-Z0-9_]+$."""
    return name.replace("-", "_")


def require_approval(tools: Sequence[Tool]) -> Json:
    """Which calls a person has to agree to: all but those of tools that are said to read only."""
    never: list[Json] = [tool.name for tool in tools if tool.harmless]
    always: list[Json] = [tool.name for tool in tools if not tool.harmless]
    if not never or not always:
        return "always" if not never else "never"
    return {"always": {"tool_names": always}, "never": {"tool_names": never}}


def agent_yaml(offer: Offer, tools: Sequence[Tool] | None, approval: Approval | None = None) -> str:
    """The parts of an agent.yaml that make the connection, and a toolbox with the tool."""
    parameter = f"{label_of(offer.name)}_secret"
    described: dict[str, Json] = {}
    connection: dict[str, Json] = {
        "kind": "connection",
        "name": offer.name,
        "category": "RemoteTool",
        "authType": offer.auth.value,
        "target": offer.url,
    }
    if offer.auth is AuthType.CUSTOM_KEYS:
        described = {parameter: {"secret": True, "description": f"Gateway key for {offer.name}"}}
        keys: dict[str, Json] = {offer.key_header.name: offer.key_header.value(f"{{{{ {parameter} }}}}")}
        connection["credentials"] = {"type": "CustomKeys", "keys": keys}
    elif offer.auth in WITH_AUDIENCE:
        connection["audience"] = offer.audience
    elif offer.auth is AuthType.OAUTH2:
        described = {parameter: {"secret": True, "description": "Secret of the agents' app registration"}}
        given = _signing_in(offer)
        connection |= {key[0].lower() + key[1:]: given[key] for key in ("TokenUrl", "AuthorizationUrl", "RefreshUrl")}
        connection["scopes"] = given["Scopes"]
        connection["credentials"] = {
            "type": "OAuth2",
            "clientId": CLIENT["ClientId"],
            "clientSecret": f"{{{{ {parameter} }}}}",
        }
    tool = tool_definition(offer, offer.name, tools, approval)
    toolbox: dict[str, Json] = {"kind": "toolbox", "name": f"{offer.name}-tools", "tools": [tool]}
    written: dict[str, Json] = {"parameters": described} if described else {}
    written["resources"] = [connection, toolbox]
    return yaml.safe_dump(written, sort_keys=False, allow_unicode=True, width=120)


@frozen
class _Expression:
    """Bicep that stands as it is."""

    text: str


_Bicep = _Expression | bool | str | list["_Bicep"] | dict[str, "_Bicep"]


def bicep(offer: Offer) -> str:
    """A Bicep module that makes the connection in a project; what is secret is a secure parameter of it."""
    body = _bicep_properties(offer)
    secret = {
        AuthType.CUSTOM_KEYS: ("gatewayKey", f"A gateway key: mcpgov keys create NAME --connection {offer.name}"),
        AuthType.OAUTH2: ("clientSecret", "The client secret of the agents' app registration"),
    }.get(offer.auth)
    parameters = ["param accountName string", "param projectName string"]
    if offer.auth is AuthType.OAUTH2:
        parameters.append("param clientId string")
    if secret:
        parameters += [f"@description({_quoted(secret[1])})", "@secure()", f"param {secret[0]} string"]
    return "\n".join(
        (
            *parameters,
            "",
            *_existing("account", ACCOUNTS, "accountName"),
            "",
            *_existing("project", f"{ACCOUNTS}/projects", "projectName", "account"),
            "",
            f"resource connection '{ACCOUNTS}/projects/connections@{API_VERSION}' = {{",
            "  parent: project",
            f"  name: {_quoted(offer.name)}",
            *_lines("properties", body, "  "),
            "}",
            "",
        )
    )


def _bicep_properties(offer: Offer) -> dict[str, _Bicep]:
    """The properties of the body, with parameters in the place of what is secret."""
    properties = cast("dict[str, _Bicep]", connection_body(offer)["properties"])
    if offer.auth is AuthType.CUSTOM_KEYS:
        header = offer.key_header
        value = _Expression(f"'{header.prefix}${{gatewayKey}}'" if header.prefix else "gatewayKey")
        properties["credentials"] = {"keys": {header.name: value}}
    elif offer.auth is AuthType.OAUTH2:
        properties["Credentials"] = {
            "ClientId": _Expression("clientId"),
            "ClientSecret": _Expression("clientSecret"),
        }
    return properties


def _existing(symbol: str, kind: str, name: str, parent: str = "") -> Iterator[str]:
    yield f"resource {symbol} '{kind}@{API_VERSION}' existing = {{"
    if parent:
        yield f"  parent: {parent}"
    yield from (f"  name: {name}", "}")


def _lines(key: str, value: _Bicep, indent: str) -> Iterator[str]:
    """A property and what is in it, one thing a line."""
    named = f"{indent}{key if _IDENTIFIER.fullmatch(key) else _quoted(key)}: "
    if isinstance(value, dict) and value:
        yield named + "{"
        for inner, held in value.items():
            yield from _lines(inner, held, indent + "  ")
        yield indent + "}"
    elif isinstance(value, list) and value:
        yield named + "["
        yield from (f"{indent}  {_literal(item)}" for item in value)
        yield indent + "]"
    else:
        yield named + _literal(value)


def _literal(value: _Bicep) -> str:
    if isinstance(value, _Expression):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    return "[]" if isinstance(value, list) else "{}"


def _quoted(text: str) -> str:
    """A Bicep string; nothing in it is an expression."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${") + "'"
