"""The calls that publish connections to an Azure API Center, the platform's private tool catalog. Pure.

Rules: `runtimeUri` is the gateway's URL and nothing of the upstream is published; every call is a PUT of the whole
resource under a name that follows from what it is, so that publishing twice changes nothing; a role assignment's name
is made from its scope, its role and its group. What is served no more is left to retiring.py.
Sources: Microsoft.ApiCenter 2024-03-01 (environments, apis, versions, definitions, deployments; names have 3 to 90
characters, titles up to 50; LifecycleStage); role assignments 2022-04-01; UUID version 5 (RFC 9562 section 5.5). How
callers are authorized is set in the portal (Governance > Authorization): the API that would do it is not documented, so
authorization() says what to choose there.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from mcpgov.frozen import frozen
from mcpgov.models import AuthType
from mcpgov.publish.arm import Call, resource_path
from mcpgov.publish.offer import NotOffered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.models import Json
    from mcpgov.publish.offer import Offer

API_VERSION: Final = "2024-03-01"
ROLES_VERSION: Final = "2022-04-01"
ENVIRONMENT: Final = "mcpgov"
DATA_READER: Final = "c7244dfb-f447-457d-b2ba-3999044d1706"  # Azure API Center Data Reader, the same in every tenant
MOST_TITLE: Final = 50
FEWEST: Final = 3  # characters of a name
MOST: Final = 90
GATEWAY: Final = "gateway"  # the deployment
STAGES: Final = {"active": "production", "deprecated": "deprecated"}  # lifecycleStage, by an entry's status
_NAMES: Final = bytes.fromhex("6ba7b8119dad11d180b400c04fd430c8")  # the namespace of URLs (RFC 9562 section 6.6)
_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@frozen
class Center:
    """An API Center, and the workspace in it."""

    subscription: str
    group: str
    service: str
    workspace: str = "default"

    def path(self, *names: str) -> str:
        """The path of the service, or of what is below it. Raises NotOffered."""
        return resource_path(self.subscription, self.group, "Microsoft.ApiCenter", "services", self.service, *names)

    def inner(self, *names: str) -> str:
        """The path of the workspace, or of what is below it. Raises NotOffered."""
        return self.path("workspaces", self.workspace, *names)

    def call(self, *names: str, **properties: Json) -> Call:
        """The call that makes something of the workspace. Raises NotOffered."""
        return Call("PUT", self.inner(*names), API_VERSION, {"properties": properties})

    def question(self, *names: str) -> Call:
        """The call that asks for something of the workspace. Raises NotOffered."""
        return Call("GET", self.inner(*names), API_VERSION, {})


@frozen
class Listing:
    """A connection, and what people read of its server; `status` is that of the entry."""

    offer: Offer
    server: str
    version: str
    title: str = ""
    description: str = ""
    status: str = "active"


def publishing_calls(center: Center, listings: Sequence[Listing], readers: Sequence[str] = ()) -> Iterator[Call]:
    """Everything that publishes these connections, and lets these groups (object ids) read; in the order to be made.

    Raises NotOffered.
    """
    server: Json = {"type": "other", "managementPortalUri": []}
    about = "MCP servers behind the gateway, which decides and records every call."
    yield center.call("environments", ENVIRONMENT, title=ENVIRONMENT, kind="mcp", description=about, server=server)
    for listing in listings:
        yield from _listed(center, listing)
    for group in readers:
        yield _reader(center, group)


def _listed(center: Center, listing: Listing) -> Iterator[Call]:
    """The API of one connection, its version and definition, and where it runs."""
    name, version = listing.offer.name, version_id(listing.version)
    if len(name) < FEWEST:
        raise NotOffered(f"{name} is too short a name for an API Center", "call it by three or more")
    api, below = ("apis", name), ("apis", name, "versions", version)
    title = (listing.title or name)[:MOST_TITLE]
    summary = listing.description or listing.server
    yield center.call(*api, title=title, kind="mcp", summary=summary, description=summary)
    yield center.call(*below, title=listing.version[:MOST_TITLE], lifecycleStage=STAGES[listing.status])
    yield center.call(*below, "definitions", "default", title="default", description="Found by tools/list.")
    workspace = f"/workspaces/{center.workspace}"
    yield center.call(
        *(*api, "deployments", GATEWAY),
        title=f"{title} at the gateway"[:MOST_TITLE],
        environmentId=f"{workspace}/environments/{ENVIRONMENT}",
        definitionId=f"{workspace}/{'/'.join(below)}/definitions/default",
        state="active",
        server={"runtimeUri": [listing.offer.url]},
    )


def _reader(center: Center, group: str) -> Call:
    """That a group may read the catalog."""
    if not _GUID.fullmatch(group.lower()):
        raise NotOffered(f"{group!r} is not the object id of a group", "az ad group show --group NAME --query id")
    scope, group = center.path(), group.lower()
    role = f"/subscriptions/{center.subscription}/providers/Microsoft.Authorization/roleDefinitions/{DATA_READER}"
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{assignment_name(scope, group)}"
    properties: Json = {"roleDefinitionId": role, "principalId": group, "principalType": "Group"}
    return Call("PUT", path, ROLES_VERSION, {"properties": properties})


def version_id(version: str) -> str:
    """A version as the id of a resource: 1.0.0 is 1-0-0; a short one is named in full."""
    made = re.sub(r"[^a-z0-9]+", "-", version.lower()).strip("-")
    return made[:MOST] if len(made) >= FEWEST else f"version-{made}"


def assignment_name(scope: str, principal: str) -> str:
    """The name of the assignment of DATA_READER: the same each time, and another for each scope and principal."""
    said = f"{scope.lower()}|{DATA_READER}|{principal}".encode()
    digits = bytearray(hashlib.sha1(_NAMES + said, usedforsecurity=False).digest()[:16])
    digits[6], digits[8] = digits[6] & 0x0F | 0x50, digits[8] & 0x3F | 0x80
    text = digits.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def authorization(offer: Offer) -> str:
    """What to choose under Governance > Authorization, and in Manage access of the version; empty where nothing."""
    header = offer.key_header
    if offer.auth is AuthType.NONE:
        return ""
    if offer.auth is AuthType.CUSTOM_KEYS:
        scheme = "HTTP, bearer" if header.prefix else f"API Key, in the header {header.name}"
        return f"{offer.name}: {scheme}; developers bring a gateway key of their own"
    if offer.auth is AuthType.OAUTH2:
        return f"{offer.name}: OAuth, at {offer.issuer.issuer if offer.issuer else 'the issuer of the settings'}"
    return f"{offer.name}: HTTP, bearer; a token of Entra for {offer.audience}"
