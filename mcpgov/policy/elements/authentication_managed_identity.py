"""authentication-managed-identity: a token of mcpgov's own managed identity for a resource of Azure.

As in Azure API Management: it goes into a variable, or into the header Authorization of the request that goes upstream.
What differs: the connection's own credential, where it has one, still wins. The identity is never another one than
that which is named, or that of the settings; without a token the call is refused, unless that is to be ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import GetToken, HeaderEdit
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Flag, Templated, Text
from mcpgov.policy.element import Element
from mcpgov.policy.token_grants import granted, recall

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.expression import Template
    from mcpgov.policy.place import Attribute, Place

RESOURCE: Final = Templated("resource", "the App ID URI of the resource")
CLIENT: Final = Text("client-id", "the client id of a user-assigned identity; else that of the settings", "")
VARIABLE: Final = Text("output-token-variable-name", "the variable that gets the token, instead of the header", "")
IGNORE: Final = Flag("ignore-error", "whether the call goes on without a token", default=False)


@frozen
class AuthenticationManagedIdentity(Element):
    """One token."""

    name: ClassVar[str] = "authentication-managed-identity"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (RESOURCE, CLIENT, VARIABLE, IGNORE)
    resource: Template
    client: str
    variable: str
    ignores_errors: bool

    @classmethod
    def load(cls, place: Place) -> Self:
        """`resource`; the rest has defaults."""
        resource = RESOURCE.read(place)
        if resource.literal == "" and place.has(RESOURCE.name):
            place.at(RESOURCE.name).note("resource must be text that is not empty")
        if place.dialect.xml and not place.has(VARIABLE.name):
            message = "the keys of the connection win over this token; in API Management there are none"
            place.remark(message, "or leave this out, and write authType: ProjectManagedIdentity", at_key=True)
        return cls(resource, CLIENT.read(place), VARIABLE.read(place), IGNORE.read(place))

    def run(self, draft: Draft) -> Verdict:
        """Get the token. Raises ExpressionError, Refusal (credential-unavailable)."""
        effect = GetToken(self.resource.value(draft), self.client)
        token = yield from granted(effect, draft, ignore=self.ignores_errors)
        draft.tokens[draft.at] = token
        if self.variable:
            draft.variables[self.variable] = token
        elif token is not None:
            draft.edit_request(HeaderEdit("authorization", "override", (f"Bearer {token}",)))

    def hides(self, draft: Draft, /) -> bool:
        """Nothing; but a later condition may read the variable."""
        recall(draft, self.variable)
        return False
