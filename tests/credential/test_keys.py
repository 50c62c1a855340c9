"""Each connection is given its own keys and no others, or nothing at all."""

import pytest

from mcpgov.credential.keys import ConnectionKeys
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import AuthType, Connection, Principal, PrincipalKind, RemoteUpstream, Secret

ALICE = Principal(id="key:alice", kind=PrincipalKind.KEY)
UPSTREAM = RemoteUpstream("https://mcp.contoso.com/")


def connection(name: str, auth_type: AuthType, *keys: tuple[str, Secret]) -> Connection:
    return Connection(name, "com.contoso/github", UPSTREAM, auth_type, keys)


async def test_custom_keys_are_the_connections_own() -> None:
    one = connection("github", AuthType.CUSTOM_KEYS, ("Authorization", Secret("Bearer one")))
    two = connection(
        "github-eu", AuthType.CUSTOM_KEYS, ("Authorization", Secret("Bearer two")), ("X-Team", Secret("eu"))
    )
    for wanted in (one, two, one):
        credential = await ConnectionKeys().credential_for(wanted, ALICE)
        assert credential.kind == "CustomKeys"
        assert credential.reference == f"com.contoso/github#{wanted.name}"
        assert credential.headers == wanted.keys


async def test_none_presents_nothing_even_where_keys_are_written() -> None:
    credential = await ConnectionKeys().credential_for(connection("open", AuthType.NONE, ("X-Key", Secret("k"))), ALICE)
    assert (credential.kind, credential.headers) == ("None", ())


async def test_missing_keys_are_a_refusal_and_never_an_anonymous_call() -> None:
    with pytest.raises(Refusal) as caught:
        await ConnectionKeys().credential_for(connection("github", AuthType.CUSTOM_KEYS), ALICE)
    assert caught.value.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert "github" not in caught.value.message


async def test_a_credential_does_not_print_its_value() -> None:
    github = connection("github", AuthType.CUSTOM_KEYS, ("Authorization", Secret("Bearer one")))
    assert "one" not in repr(await ConnectionKeys().credential_for(github, ALICE))
