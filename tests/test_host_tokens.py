"""mcpgov's own token is got once while it holds, and anew where it was refused."""

from datetime import UTC, datetime

from mcpgov.credential.tokens import AccessToken
from mcpgov.host_tokens import HostTokens
from mcpgov.models import Secret

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Host:
    """A host whose tokens are numbered."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def token(self, scope: str, client_id: str) -> AccessToken:
        self.asked.append((scope, client_id))
        return AccessToken.lasting(Secret(str(len(self.asked))), 3600, NOW)


async def test_a_token_is_kept_while_it_holds() -> None:
    host = Host()
    tokens = HostTokens(host, "https://monitor.azure.com/.default", "chosen", lambda: NOW)
    assert [(await tokens.token()).reveal() for _ in range(3)] == ["1", "1", "1"]
    assert host.asked == [("https://monitor.azure.com/.default", "chosen")]


async def test_a_token_that_was_refused_is_replaced_and_not_too_often() -> None:
    tokens = HostTokens(Host(), "scope", "", lambda: NOW)
    tokens.reject()
    assert (await tokens.token()).reveal() == "1"
    tokens.reject()
    assert (await tokens.token()).reveal() == "2"
    tokens.reject()
    assert (await tokens.token()).reveal() == "2"
