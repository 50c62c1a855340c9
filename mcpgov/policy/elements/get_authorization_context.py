"""get-authorization-context: the token that an OAuth2 connection of the catalog has for the caller.

As in Azure API Management it goes into a variable, as an Authorization. A provider is a connection here, and the caller
is the one that was verified: with `identity-type: jwt` as without, everybody gets their own token and nobody another's,
unless the connection signs in for all of them with client credentials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import GetAuthorization
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Choice, Flag, Text
from mcpgov.policy.element import Element
from mcpgov.policy.token_grants import granted, recall
from mcpgov.policy.token_values import Authorization

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.place import Attribute, Place

PROVIDER: Final = Text("provider-id", "the OAuth2 connection whose sign-in is used")
AUTHORIZATION: Final = Text("authorization-id", "not needed here: a connection has one authorization for a caller", "")
VARIABLE: Final = Text("context-variable-name", "the variable that gets the authorization")
IDENTITY_TYPE: Final = Choice("identity-type", "whose it is; here always the caller's", ("managed", "jwt"), "managed")
IDENTITY: Final = Text("identity", "not read here: the caller is the one that was verified", "")
IGNORE: Final = Flag("ignore-error", "whether the call goes on without it", default=False)


@frozen
class GetAuthorizationContext(Element):
    """One authorization."""

    name: ClassVar[str] = "get-authorization-context"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (
        *(PROVIDER, AUTHORIZATION, VARIABLE, IDENTITY_TYPE, IDENTITY, IGNORE),
    )
    provider: str
    variable: str
    ignores_errors: bool

    @classmethod
    def load(cls, place: Place) -> Self:
        """`provider-id` and `context-variable-name`; the rest has defaults."""
        provider = PROVIDER.read(place)
        if provider.lstrip().startswith(("@", "${")):
            place.at(PROVIDER.name).note("provider-id is the name of a connection", "write it: nobody may choose it")
        if place.has(IDENTITY.name):
            message = "identity is not read: the caller is the one that was verified"
            place.at(IDENTITY.name).remark(message, "remove it", at_key=True)
        if place.dialect.xml:
            if IDENTITY_TYPE.read(place) == "managed":
                message = "each caller gets a token of their own; in API Management all share one, with managed"
                place.remark(message, at_key=True)
            if not place.has(AUTHORIZATION.name):
                place.remark("API Management requires authorization-id", at_key=True)
        return cls(provider, VARIABLE.read(place), IGNORE.read(place))

    def run(self, draft: Draft) -> Verdict:
        """Get it. Raises Refusal (credential-unavailable, consent-required)."""
        principal = draft.context.principal
        effect = GetAuthorization(self.provider, principal.id, principal.scope.connections)
        token = yield from granted(effect, draft, ignore=self.ignores_errors)
        found = None if token is None else Authorization(token)
        draft.tokens[draft.at] = draft.variables[self.variable] = found

    def hides(self, draft: Draft, /) -> bool:
        """Nothing; but a later condition may read the variable."""
        recall(draft, self.variable)
        return False
