"""Azure Resource Manager on loopback, with one API Center: what it has, and what it refuses as the real one does.

A resource needs its parent; a deployment needs the environment and the definition that it names; a body has the
properties of its kind and no other; a role is assigned once for each scope and principal; the token has to be for the
management plane.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from starlette.responses import Response

from tests.peers.entra import Entra
from tests.peers.web_peer import Asked, WebPeer, json_answer

MANAGEMENT: Final = "https://management.azure.com"
CENTER: Final = "/subscriptions/s-1/resourceGroups/tools/providers/Microsoft.ApiCenter/services/contoso-tools"
ROLES: Final = "/providers/Microsoft.Authorization/roleAssignments/"
KINDS: Final[Mapping[str, frozenset[str]]] = {  # the writable properties of each, 2024-03-01
    "environments": frozenset({"title", "kind", "description", "server", "onboarding", "customProperties"}),
    "apis": frozenset(
        {"title", "kind", "summary", "description", "termsOfService", "externalDocumentation", "license", "contacts"}
        | {"customProperties"}
    ),
    "versions": frozenset({"title", "lifecycleStage"}),
    "definitions": frozenset({"title", "description"}),
    "deployments": frozenset(
        {"title", "description", "environmentId", "definitionId", "state", "server", "customProperties"}
    ),
}
REQUIRED: Final[Mapping[str, frozenset[str]]] = {
    "environments": frozenset({"title", "kind"}),
    "apis": frozenset({"title", "kind"}),
    "versions": frozenset({"title", "lifecycleStage"}),
    "definitions": frozenset({"title"}),
    "deployments": frozenset({"environmentId", "definitionId", "server"}),
}


@dataclass
class ResourceManager(WebPeer):
    """What Azure has: `resources` by their paths, and who may write (`writers`, object ids; None is everybody)."""

    entra: Entra = field(default_factory=Entra)
    resources: dict[str, Any] = field(default_factory=dict[str, Any])
    writers: frozenset[str] | None = None
    page: int = 100

    async def answer(self, asked: Asked) -> Response:
        caller = self._caller(asked)
        if caller is None:
            return failed(401, "AuthenticationFailed", "The access token is invalid.")
        if self.writers is not None and caller not in self.writers:
            return failed(403, "AuthorizationFailed", f"The client {caller} does not have authorization.")
        if asked.method == "GET" and asked.path.startswith(CENTER):
            return self._get(asked)
        if asked.method != "PUT" or not asked.path.startswith(CENTER):
            return failed(404, "ResourceNotFound", "The resource was not found.")
        properties = json.loads(asked.body)["properties"]
        if ROLES in asked.path:
            return self._assign(asked, properties)
        return self._put(asked, properties)

    def _get(self, asked: Asked) -> Response:
        """A resource, or those of a kind, a page of `page` at a time."""
        if asked.path in self.resources:
            return json_answer(200, resource(asked.path, self.resources[asked.path]))
        if asked.path.rpartition("/")[2] not in KINDS or asked.path.rpartition("/")[0] not in self.resources:
            return failed(404, "ResourceNotFound", "The resource was not found.")
        below = [path for path in self.resources if path.rpartition("/")[0] == asked.path]
        start = int(asked.query.get("$skip", "0"))
        value = [resource(path, self.resources[path]) for path in below[start : start + self.page]]
        more = start + self.page < len(below)
        link = f"{MANAGEMENT}{asked.path}?api-version=2024-03-01&$skip={start + self.page}"
        return json_answer(200, {"value": value} | ({"nextLink": link} if more else {}))

    def _put(self, asked: Asked, properties: Mapping[str, Any]) -> Response:
        if asked.query != {"api-version": "2024-03-01"}:
            return failed(400, "InvalidApiVersionParameter", "The api-version is invalid.")
        below = asked.path.removeprefix(f"{CENTER}/workspaces/default/").split("/")
        kind, parent = below[-2], "/".join(below[:-2])
        if not REQUIRED[kind] <= properties.keys() <= KINDS[kind]:
            return failed(400, "ValidationError", f"{sorted(properties)} are not the properties of {kind}.")
        needs = [*([parent] if parent else []), *self._named(properties)]
        if missing := [one for one in needs if f"{CENTER}/workspaces/default/{one}" not in self.resources]:
            return failed(404, "ParentResourceNotFound", f"There is no {missing[0]}.")
        return self._kept(asked.path, properties)

    def _named(self, properties: Mapping[str, Any]) -> list[str]:
        """What a deployment names, which has to be there."""
        named = (properties.get(key, "") for key in ("environmentId", "definitionId"))
        return [one.removeprefix("/workspaces/default/") for one in named if one]

    def _assign(self, asked: Asked, properties: Mapping[str, Any]) -> Response:
        if asked.query != {"api-version": "2022-04-01"} or properties["principalType"] != "Group":
            return failed(400, "InvalidRequest", "This is no assignment.")
        same = [path for path, one in self.resources.items() if ROLES in path and one == properties]
        if same and same != [asked.path]:
            return failed(409, "RoleAssignmentExists", "The role assignment already exists.")
        return self._kept(asked.path, properties)

    def _kept(self, path: str, properties: Mapping[str, Any]) -> Response:
        known = path in self.resources
        self.resources[path] = dict(properties)
        return json_answer(200 if known else 201, resource(path, properties))

    def _caller(self, asked: Asked) -> str | None:
        """The object id of the token that was shown; None where it is not one for the management plane."""
        kind, _, token = asked.headers.get("authorization", "").partition(" ")
        try:
            return self.entra.tokens.keys.claims(token, MANAGEMENT)["oid"] if kind == "Bearer" else None
        except jwt.InvalidTokenError:
            return None


def resource(path: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """A resource as Azure shows it."""
    return {"id": path, "name": path.rpartition("/")[2], "properties": dict(properties)}


def failed(status: int, code: str, message: str) -> Response:
    """An error as Azure writes it."""
    return json_answer(status, {"error": {"code": code, "message": message}})
