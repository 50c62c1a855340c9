"""A connection of a Foundry project becomes an entry of ours, and comes to lead to the gateway. Pure.

Rules: what the platform's connection led to is the entry's upstream, and how it signed in there is the entry's
authType; no key of it is taken over, only the header's name. The rewritten connection has the gateway as its target and
nothing of the upstream: neither its URL, nor its audience, nor a key. How agents sign in there is what `mcpgov foundry
connection` prints: one way for all connections. Spellings differ between versions and tools, and are read in any of
them. Refuses to know: how a connection is sent to the platform.
Source: Microsoft.CognitiveServices/accounts/projects/connections, 2025-04-01-preview and later.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from mcpgov.catalog.client_files import read_relaxed
from mcpgov.catalog.foreign_wishes import permitted
from mcpgov.catalog.urls import check_url
from mcpgov.catalog.ways import Choice, Draft, free_name, slug
from mcpgov.catalog.withheld import reference
from mcpgov.credential.references import Unfit
from mcpgov.frozen import frozen
from mcpgov.models import AuthType
from mcpgov.publish.foundry import connection_body

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcpgov.models import Json
    from mcpgov.publish.offer import Offer

    Document = dict[str, Json]

NAMESPACE: Final = "foundry"
_TOOLS: Final = frozenset({"remotetool"})
_AUTH_TYPES: Final[Mapping[str, AuthType]] = {
    **{re.sub(r"[^a-z0-9]", "", kind.lower()): kind for kind in AuthType},
    "agenticidentity": AuthType.AGENTIC_IDENTITY,
}
_OAUTH: Final = ("tokenUrl", "authorizationUrl", "refreshUrl")
# The id of an object in Entra, or what a user is called there: nothing else is a person that something is shared with.
_PERSON: Final = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[A-Za-z0-9._%+'#-]{1,64}@[A-Za-z0-9.-]{1,255}"
)


@frozen
class Clients:
    """How agents are to sign in to the gateway: what the entry says."""

    auth_type: AuthType = AuthType.CUSTOM_KEYS
    audience: str = ""


@frozen
class Adopted:
    """The entry, and the rewritten connection; `connection` is what it is called in both."""

    draft: Draft
    connection: str
    properties: Document


def adopt(text: str, choice: Choice, clients: Clients, server: str = "") -> Adopted:
    """Read the JSON of a connection. Raises Unfit."""
    tree = read_relaxed(text)
    if not isinstance(tree, dict):
        raise Unfit("is no connection", "save what the platform answers for one")
    properties = _Folded(tree.get("properties", tree))
    category = _word(properties.text("category"))
    if category.removesuffix("preview") not in _TOOLS:
        raise Unfit(f"is a connection of category {properties.text('category') or 'none'}", "adopt those of RemoteTool")
    name = str(tree.get("name") or choice.connection or properties.text("name") or "connection")
    connection = choice.connection or free_name({"name": f"{NAMESPACE}/{slug(name)}"}, choice.taken)
    target = properties.text("target")
    check_url(target, private=choice.private)
    document: Document = {"name": server or f"{NAMESPACE}/{slug(name)}", "title": name[:100], "version": "1.0.0"}
    document |= {"upstream": target} | ({"private": True} if choice.private else {})
    notes: list[str] = []
    said = dict(_signed_in(properties, connection, choice, notes))
    if clients.auth_type is not AuthType.CUSTOM_KEYS:
        said["clientAuthType"] = clients.auth_type.value
    if clients.audience:
        said["clientAudience"] = clients.audience
    document["connections"] = {connection: said}
    notes += permitted(document, tokens=choice.tokens)
    return Adopted(Draft(document, tuple(notes)), connection, properties.original)


def rewritten(adopted: Adopted, offer: Offer) -> Document:
    """The body of the connection as it leads to the gateway, with places for secrets and none in it.

    Whom it is shared with stays. Nothing else is taken over: any other member may hold a key of the former target.
    """
    ours = cast("Document", connection_body(offer)["properties"])
    return {"properties": ours | _shared(_Folded(adopted.properties))}


def _shared(properties: _Folded) -> Document:
    """Whom a connection is shared with, and never with more than that."""
    people = properties.folded.get("shareduserlist")
    listed = people if isinstance(people, list) else []
    kept: list[Json] = [one for one in listed if isinstance(one, str) and _PERSON.fullmatch(one)]
    to_all = properties.folded.get("issharedtoall", not people)
    return {"isSharedToAll": to_all is True, "sharedUserList": kept}


def _signed_in(properties: _Folded, connection: str, choice: Choice, notes: list[str]) -> Iterator[tuple[str, Json]]:
    """How mcpgov signs in to what the connection led to."""
    written = properties.text("authType")
    kind = _AUTH_TYPES.get(_word(written).removesuffix("preview"))
    if kind is None:
        raise Unfit(
            f"has the authType {written or 'none'}, which mcpgov does not know", f"known: {', '.join(AuthType)}"
        )
    yield "authType", kind.value
    if kind is AuthType.CUSTOM_KEYS:
        yield "keys", _keys(properties, connection, notes)
    elif kind is AuthType.OAUTH2:
        yield "oauth", _oauth(properties, connection)
    elif kind is not AuthType.NONE:
        if not properties.text("audience"):
            raise Unfit(f"has the authType {kind} and no audience", "write one into it")
        yield "audience", properties.text("audience").removesuffix("/.default")
    if kind is AuthType.AGENTIC_IDENTITY:
        if "agentIdentity" not in choice.variables:
            said = "is signed in to as an agent identity, and nothing says as which mcpgov is to call"
            raise Unfit(said, "say --var agentIdentity=GUID, the id of an identity of your blueprint")
        yield "agentIdentity", choice.variables["agentIdentity"]


def _keys(properties: _Folded, connection: str, notes: list[str]) -> Document:
    """The headers, each with a reference: the platform shows no key, and none that stands here is taken over."""
    written = properties.inner("credentials").inner("keys").original
    if not written:
        notes.append("the platform shows no keys: correct the name of the header")
        written = {"Authorization": "Bearer"}
    made: Document = {}
    for name, value in written.items():
        bearer = "Bearer " if str(value).lower().startswith("bearer") else ""
        made[name] = f"{bearer}{reference(connection, name)}"
    return made


def _oauth(properties: _Folded, connection: str) -> Document:
    credentials = properties.inner("credentials")
    if properties.text("connectorName") or not credentials.text("clientId"):
        raise Unfit("signs in with an application that the platform manages", "register one of your own")
    made: Document = {"clientId": credentials.text("clientId"), "clientSecret": reference(connection, "clientSecret")}
    made |= {key: properties.text(key) for key in _OAUTH if properties.text(key)}
    scopes = properties.folded.get("scopes")
    listed = [str(one) for one in scopes if one] if isinstance(scopes, list) else str(scopes or "").split()
    words: list[Json] = [*listed]
    return {**made, "scopes": words} if words else made


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


class _Folded:
    """A mapping whose keys are found in any case."""

    def __init__(self, value: Json) -> None:
        self.original: Document = value if isinstance(value, dict) else {}
        self.folded: Document = {key.lower(): inner for key, inner in self.original.items()}

    def text(self, key: str) -> str:
        """A text; empty where there is none."""
        value = self.folded.get(key.lower())
        return value if isinstance(value, str) else ""

    def inner(self, key: str) -> _Folded:
        """A mapping in it."""
        return _Folded(self.folded.get(key.lower()))
