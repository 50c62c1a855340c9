"""An entry of the vault opens for its own principal, connection and client, and for nobody else."""

from dataclasses import replace

import pytest

from mcpgov.credential.vault import Tokens, client_digest
from mcpgov.models import LocalUpstream, OAuthClient, Secret
from tests.credential.consenting import CLIENT, House, github

TOKENS = Tokens(Secret("access-1"), 2_000_000_000, Secret("refresh-1"))
BARE = Tokens(Secret("access-1"))


@pytest.mark.parametrize("tokens", [TOKENS, BARE])
async def test_what_was_kept_is_found(tokens: Tokens) -> None:
    house = House()
    await house.vault.keep("key:alice", github(), CLIENT, tokens)
    entry = await house.vault.find("key:alice", github(), CLIENT)
    assert entry is not None
    assert entry.tokens == tokens
    assert await house.vault.find("key:bob", github(), CLIENT) is None


async def test_nothing_of_a_token_is_in_the_store_or_prints() -> None:
    house = House()
    await house.vault.keep("key:alice", github(), CLIENT, TOKENS)
    entry = await house.vault.find("key:alice", github(), CLIENT)
    row = house.rows.rows["key:alice", "github"]
    assert b"access-1" not in row.sealed
    assert b"refresh-1" not in row.sealed
    assert "access-1" not in repr(entry)


async def test_a_row_that_was_moved_to_another_principal_or_connection_does_not_open() -> None:
    house = House()
    await house.vault.keep("key:alice", github(), CLIENT, TOKENS)
    row = house.rows.rows["key:alice", "github"]
    await house.rows.keep(replace(row, principal="key:bob"))
    assert await house.vault.find("key:bob", github(), CLIENT) is None
    elsewhere = replace(github(), name="gitlab")
    await house.rows.keep(replace(row, connection="gitlab"))
    assert await house.vault.find("key:alice", elsewhere, CLIENT) is None


@pytest.mark.parametrize(
    "changed",
    [
        replace(CLIENT, client_id="other"),
        replace(CLIENT, token_url="https://evil.example.com/token"),
        replace(CLIENT, authorization_url="https://evil.example.com/authorize"),
        replace(CLIENT, refresh_url="https://evil.example.com/refresh"),
        replace(CLIENT, revocation_url="https://evil.example.com/revoke"),
        replace(CLIENT, scopes=("repo",)),
        replace(CLIENT, resource="https://other.example.com"),
    ],
)
async def test_another_client_has_no_entry_until_its_users_agree(changed: OAuthClient) -> None:
    house = House()
    await house.vault.keep("key:alice", github(), CLIENT, TOKENS)
    assert await house.vault.find("key:alice", github(changed), changed) is None


async def test_a_connection_that_leads_elsewhere_has_no_entry() -> None:
    house = House()
    await house.vault.keep("key:alice", github(), CLIENT, TOKENS)
    moved = github(url="https://evil.example.com/mcp")
    assert await house.vault.find("key:alice", moved, CLIENT) is None
    assert await house.vault.find("key:alice", replace(moved, upstream=LocalUpstream(("x",))), CLIENT) is None
    assert await house.vault.find("key:alice", github(url="https://api.example.com/mcp/v2"), CLIENT) is not None


def test_a_rotated_secret_and_another_order_of_scopes_ask_nobody_anew() -> None:
    same = replace(CLIENT, client_secret=Secret("another"), scopes=CLIENT.scopes[::-1])
    assert client_digest(github(), CLIENT) == client_digest(github(same), same)


async def test_a_renewal_brings_nothing_back_that_was_revoked_meanwhile() -> None:
    house = House()
    await house.vault.keep("key:alice", github(), CLIENT, TOKENS)
    entry = await house.vault.find("key:alice", github(), CLIENT)
    assert entry is not None
    assert await house.vault.drop(entry)
    assert not await house.vault.renew(entry, BARE)
    assert not await house.vault.drop(entry)
    assert await house.vault.find("key:alice", github(), CLIENT) is None
