"""An offer holds what callers may know: the gateway's URL and how one signs in there."""

import pytest

from mcpgov.models import AuthType, Connection, RemoteUpstream, Secret
from mcpgov.publish.offer import KeyHeader, NotOffered, key_header, offer_of, require_https

CONNECTION = Connection(
    "github",
    "com.contoso/github",
    RemoteUpstream("https://api.upstream.example/mcp?key=in-the-query"),
    AuthType.CUSTOM_KEYS,
    (("X-Upstream-Key", Secret("of-the-upstream")),),
    client_auth_type=AuthType.AGENTIC_IDENTITY,
    client_audience="api://gateway",
)


def test_an_offer_knows_the_gateway_and_nothing_of_the_upstream() -> None:
    offer = offer_of(CONNECTION, "https://mcp.contoso.com", key_header(("authorization",)))
    assert (offer.url, offer.base) == ("https://mcp.contoso.com/mcp/github", "https://mcp.contoso.com")
    assert (offer.auth, offer.audience) == (AuthType.AGENTIC_IDENTITY, "api://gateway")
    for secret in ("upstream", "in-the-query", "X-Upstream-Key"):
        assert secret not in repr(offer)


@pytest.mark.parametrize(
    ("names", "header"),
    [
        (("authorization", "x-api-key"), KeyHeader("Authorization", "Bearer ")),
        (("x-api-key", "authorization"), KeyHeader("Authorization", "Bearer ")),
        (("x-mcpgov-key",), KeyHeader("X-Mcpgov-Key")),
    ],
)
def test_a_key_stands_where_the_settings_read_it(names: tuple[str, ...], header: KeyHeader) -> None:
    assert key_header(names) == header
    assert header.value("k") in {"k", "Bearer k"}


def test_the_platform_calls_https_alone_and_the_mend_says_so() -> None:
    require_https("https://mcp.contoso.com/mcp/github")
    require_https("http://127.0.0.1:8080", but=True)
    with pytest.raises(NotOffered, match="https alone") as refused:
        require_https("http://127.0.0.1:8080/mcp/github")
    assert "public_url" in refused.value.mend
