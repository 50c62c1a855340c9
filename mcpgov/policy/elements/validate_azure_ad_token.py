"""validate-azure-ad-token: lets a request in only with a token that Microsoft Entra issued in one tenant.

As in Azure API Management: v1 and v2 tokens, the application that asks and the one that is asked. What differs: the
tenant is one, by its id; `common` and its like would let every tenant in, and are refused when the document is loaded.
Claims: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.frozen import frozen
from mcpgov.json_web_token import RequiredClaim, Rules, Token
from mcpgov.policy.attributes import Templates, Text
from mcpgov.policy.element import Element
from mcpgov.policy.token_rules import (
    AUDIENCES,
    CLAIMS,
    SKEW,
    WHERE,
    Claim,
    Trust,
    Validation,
    read_claims,
    read_validation,
    remark_audiences,
    texts,
)

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.expression import Template
    from mcpgov.policy.place import Attribute, Place

AUTHORITY: Final = "https://login.microsoftonline.com"
TENANT: Final = Text("tenant-id", "the tenant, by its id")
CLIENTS: Final = Templates(
    "client-application-ids", "which applications may ask", "client-application-ids/application-id"
)
BACKENDS: Final = Templates(
    "backend-application-ids", "which applications may be asked, as audiences", "backend-application-ids/application-id"
)
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EVERY_TENANT: Final = frozenset({"common", "organizations", "consumers"})


@frozen
class ValidateAzureAdToken(Element):
    """What is asked of a token of `tenant`."""

    name: ClassVar[str] = "validate-azure-ad-token"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (TENANT, *WHERE, SKEW, CLIENTS, BACKENDS, AUDIENCES, CLAIMS)
    tenant: str
    validation: Validation
    clients: tuple[Template, ...]
    backends: tuple[Template, ...]
    audiences: tuple[Template, ...]
    claims: tuple[Claim, ...]
    clock_skew: int

    @classmethod
    def load(cls, place: Place) -> Self:
        """`tenant-id`; the rest has defaults."""
        remark_audiences(place, AUDIENCES.name, BACKENDS.name)
        if place.dialect.xml and place.has(SKEW.name):
            message = "API Management has no clock-skew here, and refuses the attribute"
            place.at(SKEW.name).remark(message, at_key=True)
        return cls(
            _tenant(place),
            read_validation(place, "Authorization"),
            CLIENTS.read(place),
            BACKENDS.read(place),
            AUDIENCES.read(place),
            read_claims(place),
            SKEW.read(place),
        )

    def run(self, draft: Draft) -> Verdict:
        """Deny a request whose token does not hold. Raises ExpressionError, Refusal (sign-in-unavailable)."""
        tenant, clients, backends = self.tenant, texts(self.clients, draft), texts(self.backends, draft)
        own = (one for id_ in backends for one in (id_, f"api://{id_}"))
        rules = Rules(
            (f"https://sts.windows.net/{tenant}/", f"{AUTHORITY}/{tenant}/v2.0"),
            (*texts(self.audiences, draft), *own),
            self.clock_skew,
            required_claims=(
                RequiredClaim("tid", (tenant,)),
                *(claim.required(draft) for claim in self.claims),
            ),
        )

        def rules_of(token: Token) -> Rules:
            if not clients:
                return rules
            asking = RequiredClaim("azp" if token.text("azp") else "appid", clients, match_any=True)  # v2, or v1
            return replace(rules, required_claims=(*rules.required_claims, asking))

        trust = Trust((f"{AUTHORITY}/{tenant}/v2.0/.well-known/openid-configuration",))
        return (yield from self.validation.run(draft, rules_of, trust))

    def hides(self, draft: Draft, /) -> bool:
        """Nothing; but a later condition may read the token."""
        self.validation.recall(draft)
        return False


def _tenant(place: Place) -> str:
    tenant = TENANT.read(place).lower()
    if tenant in _EVERY_TENANT:
        place.at(TENANT.name).note(f"{tenant} lets every tenant in", "write the id of your tenant")
    elif tenant and not _GUID.fullmatch(tenant):
        place.at(TENANT.name).note("tenant-id is not the id of a tenant", "write its GUID, not a domain or an address")
    return tenant
