"""The elements of Azure API Management that mcpgov does not have, and what does their work here.

They are refused by name, so that nobody believes that they are in force.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_INSTEAD: Final[Mapping[str, tuple[str, ...]]] = {
    "callers are verified before any policy: see docs/identity.md": (*("validate-client-certificate",),),
    "how the upstream is signed in to stands in the catalog: authType of the connection": (
        *("authentication-basic", "authentication-certificate"),
    ),
    "a call is forwarded as it is: see set-backend-service and rewrite-uri": ("set-method", "set-url", "proxy"),
    "a policy sends no requests of its own: remove it": (
        *("send-request", "send-one-way-request", "wait", "invoke-dapr-binding", "publish-to-dapr"),
    ),
    "nothing is cached here: remove it": (
        *("cache-lookup", "cache-store", "cache-lookup-value", "cache-store-value", "cache-remove-value"),
    ),
    "an answer passes as it comes: see result-rules and find-and-replace": (
        *("jsonp", "json-to-xml", "xml-to-json", "xsl-transform", "redirect-content-urls"),
    ),
    "see argument-rules": ("validate-content", "validate-parameters"),
    "see check-header, and choose in outbound": ("validate-headers", "validate-status-code"),
    "see cors": ("cross-domain",),
    "there is nothing of the kind in MCP: remove it": (
        *("validate-odata-request", "set-graphql-resolver", "sql-data-source", "http-data-source"),
    ),
    "it is about models, not about tools: remove it": (
        *("llm-token-limit", "llm-emit-token-metric", "llm-content-safety", "llm-semantic-cache-lookup"),
        *("llm-semantic-cache-store", "azure-openai-token-limit", "azure-openai-emit-token-metric"),
        *("azure-openai-semantic-cache-lookup", "azure-openai-semantic-cache-store"),
    ),
}
NOT_HERE: Final[Mapping[str, str]] = {name: mend for mend, names in _INSTEAD.items() for name in names}
