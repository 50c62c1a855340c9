"""A token of our identity is shown only where that is safe, and where there is one; what is wrong has its line."""

import pytest

from mcpgov.errors import InvalidConfiguration
from mcpgov.settings import parse_settings

AZURE = "azure: { tenant_id: 11111111-1111-2222-3333-444444444444 }\n"
KEY = 'secrets: { key: "qk3v0nJ1b8mW5xT7yR2uPzLcGdHsAeFj9iKoQwXtMaY=" }\n'


def audit(store: str) -> str:
    return f"{AZURE}{KEY}audit: {{ store: '{store}', sign_in: entra }}\n"


def counters(url: str) -> str:
    return f"{AZURE}counters: {{ url: '{url}', sign_in: entra }}\n"


@pytest.mark.parametrize(
    "text",
    [
        audit("postgresql://mcpgov@db.contoso.com/mcpgov"),
        audit("postgresql://mcpgov@db.contoso.com/mcpgov?sslmode=verify-full"),
        audit("postgresql://mcpgov@127.0.0.1/mcpgov?sslmode=disable"),
        counters("rediss://0a1b@cache.contoso.com:10000"),
        counters("redis://0a1b@127.0.0.1:6379"),
        "counters: memory\naudit: { sign_in: password }\n",
    ],
)
def test_a_token_goes_to_a_server_that_proves_who_it_is(text: str) -> None:
    parse_settings(text, "mcpgov.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (audit("postgresql://mcpgov:hunter2@db.contoso.com/mcpgov"), "3:17: the URL has a password"),
        (audit("postgresql://db.contoso.com/mcpgov"), "names nobody to sign in as"),
        (audit("postgresql://mcpgov@db.contoso.com/mcpgov?sslmode=require"), "shown to whoever answers"),
        (audit("sqlite:///mcpgov.db"), "there is no server to sign in to"),
        (counters("redis://0a1b@cache.contoso.com"), "2:18: the token would be shown to whoever answers"),
        (counters("rediss://:hunter2@cache.contoso.com"), "the URL has a password"),
        ("counters: { sign_in: entra }\n", "a token says who mcpgov is in Microsoft Entra"),
    ],
)
def test_a_token_that_would_go_elsewhere_or_beside_a_password_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        parse_settings(text, "mcpgov.yaml")
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)
