"""The tokens that Microsoft Entra issues, by who the caller is: the claims of the real ones, in both versions.

An agent's actor carries 11 in xms_act_fct, an agent's own user account 13 in xms_sub_fct; both are lists of
numbers in no order, among which a reader must find its own.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.peers.signing import SigningKeys

TENANT: Final = "72f988bf-0000-4000-8000-2d7cd011db47"
OTHER_TENANT: Final = "11111111-0000-4000-8000-111111111111"
GATEWAY_APP: Final = "aaaaaaaa-0000-4000-8000-000000000001"
BLUEPRINT: Final = "bbbbbbbb-0000-4000-8000-000000000001"
AGENT: Final = "cccccccc-0000-4000-8000-000000000001"
OTHER_AGENT: Final = "cccccccc-0000-4000-8000-000000000002"
MANAGED_IDENTITY: Final = "dddddddd-0000-4000-8000-000000000001"
CLIENT_APP: Final = "eeeeeeee-0000-4000-8000-000000000001"
USER: Final = "ffffffff-0000-4000-8000-000000000001"
TOKEN_EXCHANGE: Final = "api://AzureADTokenExchange"
PUBLIC_AUTHORITY: Final = "https://login.microsoftonline.com"

_AGENT_ACTOR: Final = "9 3 11"
_AGENT_USER: Final = "13 2"


@dataclass
class EntraTokens:
    """Mints tokens of one tenant. `lifetime` is in seconds; a claim given as None is left out."""

    tenant: str = TENANT
    authority: str = PUBLIC_AUTHORITY
    audience: str = f"api://{GATEWAY_APP}"
    lifetime: int = 3599
    clock: Callable[[], float] = time.time
    keys: SigningKeys = field(default_factory=lambda: SigningKeys("entra"))

    def issuer(self, version: int = 2) -> str:
        """The issuer of this version's tokens."""
        return f"{self.authority}/{self.tenant}/v2.0" if version == 2 else f"https://sts.windows.net/{self.tenant}/"

    def claims(self, version: int = 2, **claims: Any) -> dict[str, Any]:
        """What every token says, and these claims."""
        now = int(self.clock())
        basic: dict[str, Any] = {
            "aud": self.audience,
            "iss": self.issuer(version),
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime,
            "tid": self.tenant,
            "uti": secrets.token_urlsafe(16),
            "ver": f"{version}.0",
        }
        return {name: value for name, value in {**basic, **claims}.items() if value is not None}

    def mint(self, version: int = 2, **claims: Any) -> str:
        """A signed token of what every token says, and these claims."""
        return self.keys.sign(self.claims(version, **claims))

    def app(self, client_id: str = CLIENT_APP, version: int = 2, **claims: Any) -> str:
        """A plain app on its own: application roles, no scopes."""
        object_id = claims.get("oid", client_id)
        subject = {"idtyp": "app", "oid": object_id, "sub": object_id, "roles": ["Mcp.Invoke"]}
        return self.mint(version, **{**subject, **_client(client_id, version, "1"), **claims})

    def managed_identity(self, object_id: str = MANAGED_IDENTITY, version: int = 2, **claims: Any) -> str:
        """The managed identity of a project: an app whose credential Azure keeps; `xms_mirid` is its resource id."""
        mirid = f"/subscriptions/s/resourcegroups/rg/providers/Microsoft.CognitiveServices/accounts/{object_id}"
        return self.app(
            claims.pop("client_id", object_id),
            version,
            **{**_credential(version, "2"), "oid": object_id, "sub": object_id, "xms_mirid": mirid, **claims},
        )

    def agent(self, agent_id: str = AGENT, blueprint: str = BLUEPRINT, version: int = 2, **claims: Any) -> str:
        """An agent identity on its own."""
        return self.app(agent_id, version, **{**_agent(blueprint, version), "xms_sub_fct": _AGENT_ACTOR, **claims})

    def user(self, object_id: str = USER, client_id: str = CLIENT_APP, version: int = 2, **claims: Any) -> str:
        """A signed-in user of an app: scopes, no roles."""
        subject = {
            "idtyp": "user",
            "oid": object_id,
            "sub": f"pairwise-{object_id}",
            "scp": "Mcp.Use",
            "name": "Ada Lovelace",
            "preferred_username" if version == 2 else "upn": "ada@example.com",
        }
        return self.mint(version, **{**subject, **_client(client_id, version, "0"), **claims})

    def agent_on_behalf(self, object_id: str = USER, agent_id: str = AGENT, version: int = 2, **claims: Any) -> str:
        """An agent identity on behalf of a user: the user's oid, the agent as actor."""
        return self.user(object_id, agent_id, version, **{**_agent(BLUEPRINT, version), **claims})

    def agent_user(self, object_id: str = USER, agent_id: str = AGENT, version: int = 2, **claims: Any) -> str:
        """An agent's own user account."""
        return self.agent_on_behalf(object_id, agent_id, version, **{"xms_sub_fct": _AGENT_USER, **claims})

    def exchange(self, blueprint: str, agent_id: str, **claims: Any) -> str:
        """T1: what a blueprint (or its host) gets for one of its agents, good only as that agent's assertion."""
        subject = f"/eid1/c/pub/t/{self.tenant}/a/{blueprint}/{agent_id}"
        return self.app(blueprint, 2, **{"aud": TOKEN_EXCHANGE, "sub": subject, "roles": None, **claims})


def _client(client_id: str, version: int, strength: str) -> dict[str, str]:
    return {"azp" if version == 2 else "appid": client_id, **_credential(version, strength)}


def _credential(version: int, strength: str) -> dict[str, str]:
    """How the client proved itself: 0 not at all, 1 by a secret, 2 by a certificate or a federated token."""
    return {"azpacr" if version == 2 else "appidacr": strength}


def _agent(blueprint: str, version: int) -> dict[str, str]:
    return {"xms_act_fct": _AGENT_ACTOR, "xms_par_app_azp": blueprint, **_credential(version, "2")}
