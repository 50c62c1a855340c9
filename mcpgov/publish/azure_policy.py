"""The Azure Policy that keeps project connections at the gateway: a definition, generated. Pure.

It is the other way round than a list of what is forbidden. A connection is denied unless its target is the gateway, or
its category is one that is known to be no tool. So what nobody thought of (a category spelt otherwise, a new one, none
at all, no target) is denied, and not let through.

Rules: each type of resource is asked for its own aliases, because the alias of another type is empty; the target is
compared up to and with the slash after the host, so that no longer host, no user name and no port gets past, and has
nothing in it by which it could leave /mcp/ again; mode is All, because Indexed leaves child resources out. Conditions
of Azure Policy ignore case, and a negated one is true of what is missing.
Source: Azure Policy definition structure (policyRule, `like` takes one `*`).

What it cannot see: an agent whose tool names a `server_url` and no connection, which is no resource of Azure, and a
connection of `otherCategories` whose target does not look like MCP. That is for the network: let agents reach the
gateway alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.publish.offer import NotOffered, require_https

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpgov.models import Json

TYPES: Final = (
    "Microsoft.CognitiveServices/accounts/connections",
    "Microsoft.CognitiveServices/accounts/projects/connections",
)
HUBS: Final = "Microsoft.MachineLearningServices/workspaces/connections"
# Models, data and telemetry that agents use by name. CustomKeys, ApiKey and Generic… are not among them: they hold keys
# for whatever URL somebody writes. Who needs another one adds it to the parameter of the assignment.
NO_TOOLS: Final = (
    *("AIServices", "AzureOpenAI", "AzureContentSafety", "CognitiveSearch", "CognitiveService", "OpenAI", "Serverless"),
    *("ADLSGen2", "AzureBlob", "AzureStorageAccount", "AzureTableStorage", "AzureOneLake", "AmazonS3Compatible", "S3"),
    *("AzureDataExplorer", "AzureMySqlDb", "AzurePostgresDb", "AzureSqlDb", "AzureSqlMi", "AzureSynapseAnalytics"),
    *("CosmosDB", "CosmosDbMongoDbApi", "Redis", "Snowflake", "Elasticsearch", "Pinecone", "Qdrant", "MongoDBAtlas"),
    *("AppInsights", "ApplicationInsights", "AzureKeyVault", "ContainerRegistry", "ManagedOnlineEndpoint"),
)

# What a target looks like that is an MCP server under the category of something else: its path, or its host.
WORDS: Final = ("mcp", "sse")
ENDINGS: Final = tuple(f"*/{word}" for word in WORDS)
PARTS: Final = (*(f"/{word}{mark}" for word in WORDS for mark in "/?#;%\\ \t\r\n"), "//mcp.", "@mcp.")
# What no target at the gateway needs: dots and escapes that whoever reads the URL may resolve to another path.
STRAYS: Final = ("/.", "%", *"\\ \t\r\n")
_GATEWAY: Final = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")


def policy_definition(gateways: Sequence[str], *, hubs: bool = True, allow_http: bool = False) -> dict[str, Json]:
    """The definition for gateways at these URLs (scheme and host). Raises NotOffered.

    `hubs`: also connections of hub-based projects, which are resources of Machine Learning.
    """
    for gateway in gateways:
        require_https(gateway, but=allow_http)
        if not _GATEWAY.fullmatch(gateway):
            raise NotOffered(f"{gateway} is not scheme and host", "write it like https://mcp.contoso.com")
    types = (*TYPES, HUBS) if hubs else TYPES
    hosts = ", ".join(gateways)
    return {
        "properties": {
            "displayName": "Tools of agents are reached through the MCP gateway",
            "description": f"Denies project connections whose target is not {hosts}, unless their category is no tool.",
            "mode": "All",
            "metadata": {"category": "Cognitive Services", "version": "1.0.0"},
            "parameters": _parameters(),
            "policyRule": {
                "if": {"anyOf": [_denied(type_, gateways) for type_ in types]},
                "then": {"effect": "[parameters('effect')]"},
            },
        }
    }


def _parameters() -> Json:
    effects: list[Json] = ["Deny", "Audit", "Disabled"]
    names: list[Json] = list(NO_TOOLS)
    return {
        "effect": {
            "type": "String",
            "metadata": {"displayName": "Effect", "description": "Audit first, to see what would be denied."},
            "allowedValues": effects,
            "defaultValue": "Deny",
        },
        "otherCategories": {
            "type": "Array",
            "metadata": {
                "displayName": "Categories that are no tools",
                "description": "Connections of these categories may have any target.",
            },
            "defaultValue": names,
        },
    }


def _denied(type_: str, gateways: Sequence[str]) -> Json:
    """What is denied of one type: the target is no gateway, and the category a tool's, or the target looks like one."""
    target, category = f"{type_}/target", f"{type_}/category"
    here = [_of(target, "like", f"{gateway}/mcp/*") for gateway in gateways]
    here += [_of(target, "equals", f"{gateway}/mcp") for gateway in gateways]
    strays = [_of(target, "contains", stray) for stray in STRAYS]
    tool = [_not(_of(category, "in", "[parameters('otherCategories')]"))]
    tool += [_of(target, "like", ending) for ending in ENDINGS]
    tool += [_of(target, "contains", part) for part in PARTS]
    past: list[Json] = [_not({"anyOf": here}), {"anyOf": strays}]
    return {"allOf": [_of("type", "equals", type_), {"anyOf": past}, {"anyOf": tool}]}


def _of(field: str, condition: str, value: str) -> Json:
    return {"field": field, condition: value}


def _not(condition: Json) -> Json:
    return {"not": condition}
