"""What Azure puts beside a program: its managed identity (IMDS, or App Service and Container Apps), and Key Vault.

The tokens are those of the Entra peer, so that whoever checks one checks a real signature.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from starlette.responses import Response

from tests.peers.entra import Entra
from tests.peers.entra_tokens import MANAGED_IDENTITY
from tests.peers.web_peer import Asked, WebPeer, json_answer

VAULT_AUDIENCE: Final = "https://vault.azure.net"


@dataclass
class IdentityHost(WebPeer):
    """Both identity endpoints on one address: IMDS at its own path, the other at /MSI/token with `header_secret`.

    `identities` are the client ids of user-assigned identities and their object ids; the system-assigned one is
    `object_id`. `lifetime` is in seconds. `resources` says for what tokens were issued, in order.
    """

    entra: Entra = field(default_factory=Entra)
    header_secret: str = "header-secret-of-the-host"
    object_id: str = MANAGED_IDENTITY
    identities: dict[str, str] = field(default_factory=dict[str, str])
    lifetime: int = 86_399
    resources: list[str] = field(default_factory=list[str])

    @property
    def imds_environment(self) -> dict[str, str]:
        """What points azure-identity at IMDS here."""
        return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": self.url}

    @property
    def msi_environment(self) -> dict[str, str]:
        """What App Service and Container Apps put into the environment."""
        return {"IDENTITY_ENDPOINT": f"{self.url}/MSI/token", "IDENTITY_HEADER": self.header_secret}

    async def answer(self, asked: Asked) -> Response:
        if asked.method != "GET":
            return json_answer(405, {"error": "method_not_allowed"})
        if asked.path == "/metadata/identity/oauth2/token":
            return self._imds(asked)
        if asked.path == "/MSI/token":
            return self._msi(asked)
        return json_answer(404, {"error": "not_found"})

    def _imds(self, asked: Asked) -> Response:
        if asked.headers.get("metadata") != "true":
            text = "Required metadata header not specified"
            return json_answer(400, {"error": "invalid_request", "error_description": text})
        if "x-forwarded-for" in asked.headers or asked.query.get("api-version") != "2018-02-01":
            return json_answer(400, {"error": "invalid_request", "error_description": "Bad request"})
        issued = self._issued(asked)
        if issued is None:
            return json_answer(400, {"error": "invalid_request", "error_description": "Identity not found"})
        life = str(self.lifetime)
        before = str(int(self.entra.tokens.clock()))
        return json_answer(200, {**issued, "expires_in": life, "ext_expires_in": life, "not_before": before})

    def _msi(self, asked: Asked) -> Response:
        if asked.headers.get("x-identity-header") != self.header_secret:
            return json_answer(403, {"statusCode": 403, "message": "The identity header is not this host's."})
        if asked.query.get("api-version") != "2019-08-01":
            return json_answer(400, {"statusCode": 400, "message": "The api-version is not supported."})
        issued = self._issued(asked)
        if issued is None:
            return json_answer(400, {"statusCode": 400, "message": "No User Assigned or Delegated Identity found."})
        return json_answer(200, issued)

    def _issued(self, asked: Asked) -> dict[str, Any] | None:
        resource, client_id = asked.query.get("resource", ""), asked.query.get("client_id", "")
        object_id = self.identities.get(client_id, "") if client_id else self.object_id
        if not resource or not object_id:
            return None
        self.resources.append(resource)
        tokens, now = self.entra.tokens, int(self.entra.tokens.clock())
        claims: dict[str, Any] = {"aud": resource, "exp": now + self.lifetime}
        claims["roles"] = self.entra.roles.get((object_id, resource))
        if agent := asked.query.get("fmi_path"):
            token = tokens.exchange(client_id or object_id, agent, **claims)
        else:
            token = tokens.managed_identity(object_id, 1, client_id=client_id or object_id, **claims)
        return {
            "access_token": token,
            "client_id": client_id or object_id,
            "expires_on": str(now + self.lifetime),
            "resource": resource,
            "token_type": "Bearer",
        }


@dataclass
class KeyVault(WebPeer):
    """A vault: secrets by name, each with all its versions, the newest last. Give it a `tls`.

    `readers` are the object ids that may read; None is everybody with a token of the tenant for the vault.
    """

    entra: Entra = field(default_factory=Entra)
    secrets: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    readers: frozenset[str] | None = None

    async def answer(self, asked: Asked) -> Response:
        caller = self._caller(asked)
        if caller is None:
            authority = f"{self.entra.tokens.authority}/{self.entra.tokens.tenant}"
            challenge = f'Bearer authorization="{authority}", resource="{VAULT_AUDIENCE}"'
            return _failed(401, "Unauthorized", "AKV10000: a Bearer token is needed.", challenge)
        if asked.query.get("api-version") != "7.4":
            return _failed(400, "BadParameter", "The specified version is not recognized.")
        if self.readers is not None and caller not in self.readers:
            return _failed(403, "Forbidden", "The caller may not get secrets of this vault.")
        return self._secret(asked)

    def _secret(self, asked: Asked) -> Response:
        kind, name, version = [*asked.path.strip("/").split("/"), "", ""][:3]
        versions = {str(number): value for number, value in enumerate(self.secrets.get(name, []), 1)}
        version = version or str(len(versions))
        if asked.method != "GET" or kind != "secrets" or version not in versions:
            return _failed(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")
        now = int(self.entra.tokens.clock())
        about = {"enabled": True, "created": now, "updated": now, "recoveryLevel": "Recoverable"}
        place = f"{self.url}/secrets/{name}/{version}"
        return json_answer(200, {"value": versions[version], "id": place, "attributes": about})

    def _caller(self, asked: Asked) -> str | None:
        """The object id of the token that was shown, None where it is not one of this tenant for a vault."""
        kind, _, token = asked.headers.get("authorization", "").partition(" ")
        try:
            return self.entra.tokens.keys.claims(token, VAULT_AUDIENCE)["oid"] if kind == "Bearer" else None
        except jwt.InvalidTokenError:
            return None


def _failed(status: int, code: str, text: str, challenge: str = "") -> Response:
    headers = {"www-authenticate": challenge} if challenge else {}
    return json_answer(status, {"error": {"code": code, "message": text}}, headers)
