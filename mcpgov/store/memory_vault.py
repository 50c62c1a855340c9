"""The vault of sealed tokens in memory: what TokenVault promises, without a disk. For tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from mcpgov.credential.vault import SealedTokens


class MemoryTokenVault:
    """The TokenVault of one process. `failure` is raised while there is one."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], SealedTokens] = {}
        self.spent: dict[str, datetime] = {}
        self.failure: Exception | None = None

    async def find(self, principal: str, connection: str) -> SealedTokens | None:
        """The row of this principal at this connection."""
        self._fail()
        return self.rows.get((principal, connection))

    async def keep(self, row: SealedTokens) -> None:
        """Keep a row, in place of the one that was there."""
        self._fail()
        self.rows[row.principal, row.connection] = row

    async def replace(self, before: SealedTokens, after: SealedTokens | None) -> bool:
        """Put `after` in the place of `before`, None deletes; False where something else or nothing stands there."""
        self._fail()
        at = (before.principal, before.connection)
        there = self.rows.get(at)
        if there is None or there.sealed != before.sealed:
            return False
        if after is None:
            del self.rows[at]
        else:
            self.rows[at] = after
        return True

    async def list(self, connection: str) -> list[SealedTokens]:
        """Every row of this connection, by principal."""
        self._fail()
        return [row for _, row in sorted(self.rows.items()) if row.connection == connection]

    async def connections_of(self, principal: str) -> list[str]:
        """Where this principal has a row, by name."""
        self._fail()
        return sorted(connection for whose, connection in self.rows if whose == principal)

    async def spend(self, ticket: str, expires_at: datetime, now: datetime) -> bool:
        """Use up a single-use id, which is forgotten after it expires; False if it was used up before."""
        self._fail()
        self.spent = {other: until for other, until in self.spent.items() if until >= now}
        if ticket in self.spent:
            return False
        self.spent[ticket] = expires_at
        return True

    async def is_spent(self, ticket: str) -> bool:
        """Whether a single-use id was used up."""
        self._fail()
        return ticket in self.spent

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
