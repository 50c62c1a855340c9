"""What all TokenVaults keep. A store's tests derive from VaultContract and define the fixture `rows`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mcpgov.credential.vault import SealedTokens, TokenVault

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ALICE = SealedTokens("key:alice", "github", "client-1", b"\0sealed \xff", NOW)
BOB = replace(ALICE, principal="key:bob", sealed=b"bob")
ELSEWHERE = replace(ALICE, connection="jira", sealed=b"jira")
LATER = replace(ALICE, client="client-2", sealed=b"later", updated_at=NOW + timedelta(hours=1))


class VaultContract:
    """The contract."""

    async def test_a_row_is_found_by_its_principal_and_connection_alone(self, rows: TokenVault) -> None:
        for row in (ALICE, BOB, ELSEWHERE):
            await rows.keep(row)
        for row in (ALICE, BOB, ELSEWHERE):
            assert await rows.find(row.principal, row.connection) == row
        assert await rows.find("key:bob", "jira") is None
        assert await rows.find("github", "key:alice") is None

    async def test_a_row_that_is_kept_takes_the_place_of_the_one_before(self, rows: TokenVault) -> None:
        await rows.keep(ALICE)
        await rows.keep(LATER)
        assert await rows.find("key:alice", "github") == LATER

    async def test_only_what_still_stands_there_is_replaced(self, rows: TokenVault) -> None:
        assert not await rows.replace(ALICE, LATER)
        assert await rows.find("key:alice", "github") is None
        await rows.keep(ALICE)
        assert await rows.replace(ALICE, LATER)
        assert not await rows.replace(ALICE, replace(ALICE, sealed=b"late"))
        assert await rows.find("key:alice", "github") == LATER

    async def test_only_what_still_stands_there_is_deleted(self, rows: TokenVault) -> None:
        await rows.keep(LATER)
        await rows.keep(BOB)
        assert not await rows.replace(ALICE, None)
        assert await rows.replace(LATER, None)
        assert not await rows.replace(LATER, None)
        assert await rows.find("key:alice", "github") is None
        assert await rows.find("key:bob", "github") == BOB

    async def test_the_rows_of_a_connection_are_listed_by_principal(self, rows: TokenVault) -> None:
        for row in (BOB, ELSEWHERE, ALICE):
            await rows.keep(row)
        assert list(await rows.list("github")) == [ALICE, BOB]
        assert list(await rows.list("none")) == []

    async def test_the_connections_at_which_a_principal_has_a_row_are_listed_by_name(self, rows: TokenVault) -> None:
        for row in (ELSEWHERE, BOB, ALICE):
            await rows.keep(row)
        assert list(await rows.connections_of("key:alice")) == ["github", "jira"]
        assert list(await rows.connections_of("github")) == []

    async def test_an_id_is_used_up_once_and_forgotten_when_it_has_expired(self, rows: TokenVault) -> None:
        until = NOW + timedelta(minutes=10)
        assert not await rows.is_spent("one")
        assert await rows.spend("one", until, NOW)
        assert await rows.is_spent("one")
        assert not await rows.spend("one", until, NOW)
        assert await rows.spend("other", until, NOW)
        assert not await rows.spend("one", until, until)
        assert await rows.spend("one", until + timedelta(minutes=10), until + timedelta(seconds=1))
