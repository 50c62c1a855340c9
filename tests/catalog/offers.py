"""A connection as each kind of caller sees it, for the tests of what is generated."""

from mcpgov.models import AuthType
from mcpgov.publish.offer import Issuer, Offer

URL = "https://mcp.contoso.com/mcp/github"
AUDIENCE = "api://55555555-6666-7777-8888-999999999999"
ENTRA = Issuer(
    "https://login.microsoftonline.com/t/v2.0",
    (f"{URL}/Mcp.Use",),
    "https://login.microsoftonline.com/t/oauth2/v2.0/authorize",
    "https://login.microsoftonline.com/t/oauth2/v2.0/token",
)
WITH_AUDIENCE = (AuthType.AGENTIC_IDENTITY, AuthType.PROJECT_MANAGED_IDENTITY, AuthType.USER_ENTRA)


def offer(auth: AuthType = AuthType.CUSTOM_KEYS, issuer: Issuer | None = ENTRA) -> Offer:
    """The connection github, at which callers sign in like this."""
    return Offer("github", URL, auth, AUDIENCE if auth in WITH_AUDIENCE else "", issuer=issuer)
